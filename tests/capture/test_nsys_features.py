"""What is read from nsys itself."""

from pathlib import Path

import pytest

from harness.capture.nsys.features import (
    find_nsys,
    nvtx_trap,
    parse_options,
    parse_version,
    read_features,
    require_nsys,
)
from harness.errors import CaptureError

HELP = Path(__file__).parent / "nsys_help"


@pytest.mark.parametrize(
    ("said", "version", "build"),
    [
        ("NVIDIA Nsight Systems version 2022.4.2.1-df9881f\n", "2022.4.2", "2022.4.2.1-df9881f"),
        ("NVIDIA Nsight Systems version 2023.4.4.54-234433681190v0", "2023.4.4", None),
        ("NVIDIA Nsight Systems version 2026.4.1.159-264138035571v0", "2026.4.1", None),
    ],
)
def test_version(said, version, build):
    found, full = parse_version(said)
    assert found == version
    assert full == (build or said.split()[-1])


def test_a_version_that_is_none():
    with pytest.raises(CaptureError, match="is that Nsight Systems"):
        parse_version("bash: nsys: wrong\n")


def test_options_by_release():
    old, middle, new = (
        parse_options((HELP / f"{release}.txt").read_text())
        for release in ("2022.4", "2023.4", "2026.4")
    )
    assert {"capture-range", "cuda-graph-trace", "wait", "output"} <= old & middle & new
    assert "flush-on-cudaprofilerstop" in middle - old
    assert {"cuda-event-trace", "discard-environment"} <= new - middle


@pytest.mark.nsys
def test_the_stored_help_is_the_installed_one(nsys):
    installed = read_features(nsys)
    if installed.release != (2022, 4):
        pytest.skip(f"nsys {installed.version} is installed, 2022.4 is stored: not compared")
    assert installed.options == parse_options((HELP / "2022.4.txt").read_text())


@pytest.mark.parametrize(
    ("nsys", "nvtx", "trapped"),
    [
        ((2022, 4), "0.2.11", False),
        ((2022, 4), "0.2.12", True),
        ((2023, 4), "0.2.17", True),
        ((2023, 4), "0.3", True),
        ((2024, 1), "0.2.17", False),
        ((2022, 4), None, False),
    ],
)
def test_nvtx_trap(nsys, nvtx, trapped):
    assert (nvtx_trap(nsys, nvtx) is not None) is trapped


def test_no_nsys(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("harness.capture.nsys.features._PLACES", ())
    assert find_nsys() is None
    with pytest.raises(CaptureError, match="apt-get install nsight-systems"):
        require_nsys()


def test_nsys_beside_the_path(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    for version in ("2023.4.1", "2025.10.1", "2025.9.1"):
        tool = tmp_path / version / "bin" / "nsys"
        tool.parent.mkdir(parents=True)
        tool.write_text("#!/bin/sh\n")
        tool.chmod(0o755)
    monkeypatch.setattr(
        "harness.capture.nsys.features._PLACES", (f"{str(tmp_path).lstrip('/')}/*/bin/nsys",)
    )
    assert find_nsys() == str(tmp_path / "2025.10.1" / "bin" / "nsys")


def test_a_given_nsys_must_exist(tmp_path):
    with pytest.raises(CaptureError, match="no such executable"):
        find_nsys(str(tmp_path / "nsys"))


def test_something_else_called_nsys(tmp_path):
    other = tmp_path / "nsys"
    other.write_text("#!/bin/sh\necho frobnicate 1.0\n")
    other.chmod(0o755)
    with pytest.raises(CaptureError, match="is that Nsight Systems"):
        require_nsys(str(other))
