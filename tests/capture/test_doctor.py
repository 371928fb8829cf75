"""Doctor where things are missing."""

import json
import os
import subprocess
import sys

import pytest

from harness.capture.nsys.features import find_nsys

from .fake_nsys import install


def test_without_nsys(harness, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = "fail" if find_nsys() is None else "ok"
    done = harness("doctor", "--json", PATH=str(tmp_path))
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert checks["nsys"]["status"] == expected
    if expected == "fail":
        assert done.returncode == 1
        assert "apt-get install" in checks["nsys"]["remedy"]
    for check in checks.values():
        assert check["status"] == "ok" or check["remedy"]


def checked(harness, *args, **env):
    """(status, found, remedy) of each check."""
    checks = json.loads(harness("doctor", "--json", *args, **env).stdout)["checks"]
    return {check["name"]: (check["status"], check["found"], check["remedy"]) for check in checks}


def test_an_nsys_without_its_importer(harness, tmp_path):
    nsys = install(tmp_path / "bin", version="2031.1.1.5-0000000")
    done = harness("doctor", "--nsys", nsys, FAKE_NSYS="raw")
    assert done.returncode == 1
    assert "fail  importer" in done.stdout
    assert "install the full Nsight Systems 2031.1.1" in done.stdout
    assert "recording" not in done.stdout.replace("left a raw recording", "")


def test_an_nsys_that_imports_by_itself_needs_no_importer(harness, tmp_path):
    nsys = install(tmp_path / "bin", version="2031.1.1.5-0000000")
    found = checked(harness, "--nsys", nsys)
    status, said, _ = found["importer"]
    assert (status, found["recording"][0]) == ("ok", "ok")
    assert said.startswith("not needed: this nsys imports by itself")


def nsight_compute(folder, importer):
    """Nsight Compute's folders, with a stand-in for its nsys and this importer; nsys's path."""
    host = folder / "nsight-compute" / "2025.3.1" / "host"
    path = host / "linux-desktop-glibc_2_11_3-x64" / "QdstrmImporter"
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{importer}\n")
    path.chmod(0o755)
    return install(host / "target-linux-x64", version="2025.3.1.0")


def test_the_importer_of_nsight_compute_names_no_version(harness, tmp_path):
    nsys = nsight_compute(
        tmp_path,
        '[ "$1" = --version ] && echo NVIDIA Nsight Systems 36398880 || echo report > "$4"',
    )
    for mode in ("good", "raw"):
        found = checked(harness, "--nsys", nsys, FAKE_NSYS=mode)
        assert found["importer"][0] == found["recording"][0] == "ok", mode
        assert "QdstrmImporter of its own installation at " in found["importer"][1]


def test_a_library_that_the_importer_lacks(harness, tmp_path):
    says = "echo QdstrmImporter: error while loading shared libraries: libdw.so.1: cannot open"
    nsys = nsight_compute(tmp_path, f"{says} shared object file >&2; exit 127")
    status, said, remedy = checked(harness, "--nsys", nsys, FAKE_NSYS="raw")["importer"]
    assert status == "fail"
    assert "the library libdw.so.1 is missing" in said
    assert "apt-get install libdw1" in remedy
    assert checked(harness, "--nsys", nsys, FAKE_NSYS="good")["importer"][0] == "ok"
    done = harness(
        "profile", "--device", "cpu", "--nsys", nsys, "--name", "x", "--", "true", FAKE_NSYS="raw"
    )
    assert done.returncode == 125
    assert "the library libdw.so.1 is missing" in done.stderr.splitlines()[-1]
    assert (tmp_path / "traces" / "x.qdstrm").is_file()


def test_a_path_that_is_no_nsys(harness, tmp_path):
    done = harness("doctor", "--nsys", tmp_path / "nothing")
    assert done.returncode == 1
    assert "no such executable" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr


# `harness doctor` where these packages are not installed, whatever is installed here.
BASE = """
import sys, harness.environment as e
versions = e.versions
e.versions = lambda *a: versions(*a) | dict.fromkeys(("nvtx", "torch", "transformers"))
from harness.cli import main
sys.argv = ["harness", "doctor", *sys.argv[1:]]
sys.exit(main())
"""


@pytest.mark.parametrize("mode", ["good", "none"])
def test_a_base_install_is_told_what_needs_what(tmp_path, mode):
    nsys = install(tmp_path / "bin", version="2031.1.1.5-0000000")
    done = subprocess.run(
        [sys.executable, "-c", BASE, "--nsys", nsys], capture_output=True, text=True, check=False,
        cwd=tmp_path, env={**os.environ, "FAKE_NSYS": mode}, timeout=120,
    )  # fmt: skip
    lines = {" ".join(line.split()[:2]): line for line in done.stdout.splitlines()}
    assert "profile --strategy and the Python API need it" in done.stdout or mode == "none"
    assert "warn torch" in lines
    assert (
        "a program of your own is recorded with the Python that it runs on" in lines["warn torch"]
    )
    assert "pip install 'nsys-harness[strategies]'" in done.stdout
    if mode == "good":
        assert done.returncode == 0, done.stdout + done.stderr
        assert "ok recording" in lines
        assert "warn nvtx" in lines
    else:
        assert done.returncode == 1
        assert "fail recording" in lines


def test_a_recording_that_fails_by_chance_is_tried_again(harness, tmp_path):
    nsys = install(tmp_path / "bin", version="2031.1.1.5-0000000")
    told = {"FAKE_NSYS": "none-at-first", "FAKE_NSYS_STARTS": str(tmp_path / "starts")}
    found = checked(harness, "--nsys", nsys, **told)
    assert found["recording"][0] == "ok"
    assert (tmp_path / "starts").read_text() == "xx"
    assert checked(harness, "--nsys", nsys, FAKE_NSYS="none")["recording"][0] == "fail"
