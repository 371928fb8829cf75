"""The GUI, or why not."""

import json
import os
import signal

import pytest

GOOD = {"manifest_version": 1, "origin": "measured", "exit_code": 0}


@pytest.fixture
def trace(tmp_path):
    (tmp_path / "a.nsys-rep").write_bytes(b"report")
    (tmp_path / "a.sqlite").write_bytes(b"sqlite")
    return tmp_path / "a.sqlite"


def viewer(folder, body):
    folder.mkdir()
    path = folder / "nsys-ui"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(folder)


def test_it_starts_and_is_left_alone(harness, tmp_path, trace):
    pid = tmp_path / "pid"
    body = f'echo "$1" > {tmp_path}/opened; echo $$ > {pid}; exec sleep 600'
    path = viewer(tmp_path / "bin", body)
    done = harness("open", trace, PATH=f"{path}:/usr/bin:/bin", DISPLAY=":9")
    os.kill(int(pid.read_text()), signal.SIGKILL)  # it was still open
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "opened").read_text().strip() == str(tmp_path / "a.nsys-rep")


def test_it_fails_at_once(harness, tmp_path, trace):
    body = "echo 'Warning: old'; echo 'qt.qpa.xcb: could not connect to display'; exit 134"
    path = viewer(tmp_path / "bin", body)
    done = harness("open", trace, PATH=f"{path}:/usr/bin:/bin", DISPLAY=":9")
    assert done.returncode == 1
    assert "code 134 and said: qt.qpa.xcb: could not connect to display" in done.stderr


def test_no_display(harness, tmp_path, trace):
    path = viewer(tmp_path / "bin", "exit 0")
    done = harness("open", trace, PATH=path, DISPLAY="", WAYLAND_DISPLAY="")
    assert done.returncode == 1
    assert "there is no display here; copy the file" in done.stderr


def test_no_gui(harness, tmp_path, trace):
    done = harness("open", trace, PATH=str(tmp_path), DISPLAY=":9")
    assert done.returncode == 1
    assert "nsys-ui" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_newer_report_than_the_gui(harness, tmp_path, trace, nsys):
    described = GOOD | {"capture": {"backend": "nsys", "tool_version": "2099.1.1.0-x"}}
    trace.with_suffix(".json").write_text(json.dumps(described))
    done = harness("open", trace, DISPLAY=":9")
    assert done.returncode == 1
    assert "was recorded with nsys 2099.1.1" in done.stderr


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.nsys-rep", "no such file"),
        ("notes.txt", "is not a report of Nsight Systems"),
        ("raw.qdstrm", "QdstrmImporter -i"),
        ("alone.sqlite", "has no .nsys-rep beside it"),
        ("cupti.sqlite", "it was recorded with cupti"),
    ],
)
def test_nothing_to_open(harness, tmp_path, name, words):
    for made in ("notes.txt", "raw.qdstrm", "alone.sqlite", "cupti.sqlite"):
        (tmp_path / made).write_text("")
    described = GOOD | {"capture": {"backend": "cupti"}}
    (tmp_path / "cupti.json").write_text(json.dumps(described))
    done = harness("open", tmp_path / name)
    assert done.returncode == 1
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1
