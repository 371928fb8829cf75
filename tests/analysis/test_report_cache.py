"""`harness gaps` on a .nsys-rep: exported once, never stale, never beside the user's files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.capture.fake_nsys import install


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "run.nsys-rep"
    path.parent.mkdir()
    path.write_text("report")
    return path


@pytest.fixture
def gaps(harness, tmp_path: Path, report: Path):
    """Analyse the report with a stand-in for nsys whose exports hold three steps."""
    nsys = install(tmp_path / "nsys")

    def run(*args: object, **env: str):
        settings = {"HARNESS_CACHE": str(tmp_path / "cache"), "FAKE_NSYS": "steps"} | env
        return harness("gaps", report, *args, "--nsys", nsys, **settings)

    return run


def found(run) -> dict:
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["traces"][0]


def test_exported_once_and_into_the_cache_alone(gaps, report: Path, tmp_path: Path) -> None:
    first = gaps("--format", "json")
    assert found(first)["path"] == str(report)
    assert found(first)["host_series"][0]["steps"] == 3
    assert "exporting run.nsys-rep with nsys 2022.4.2" in first.stderr
    assert gaps().stderr == ""
    assert [p.name for p in report.parent.iterdir()] == ["run.nsys-rep"]
    assert [p.name for p in (tmp_path / "cache" / "exports").rglob("*") if p.is_file()] == [
        "run.sqlite"
    ]


def test_a_report_that_changed_is_exported_again(gaps, report: Path) -> None:
    gaps()
    report.write_text("another report")
    assert "exporting" in gaps().stderr
    before = report.stat()
    report.write_text("ANOTHER REPORT")  # of the same size, in the same second
    os.utime(report, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert "exporting" in gaps().stderr


def test_the_manifest_beside_the_report_is_the_one_that_counts(gaps, report: Path) -> None:
    manifest = report.with_suffix(".json")
    manifest.write_text('{"manifest_version": 1, "label": "first"}')
    assert found(gaps("--format", "json"))["label"] == "first"
    manifest.write_text('{"manifest_version": 1, "label": "second"}')
    assert found(gaps("--format", "json"))["label"] == "second"
    manifest.unlink()
    assert found(gaps("--format", "json"))["label"] == "run"


def test_a_cache_that_cannot_be_written_is_one_line(gaps, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = gaps(HARNESS_CACHE=str(tmp_path / "file"))
    assert run.returncode == 1
    (line, _) = run.stderr.strip().splitlines()
    assert "its export cannot be kept in" in line
    assert "HARNESS_CACHE" in line


def test_a_cached_export_needs_neither_nsys_nor_a_cache_that_can_be_written(
    gaps, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import exports

    gaps()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    refused = pytest.MonkeyPatch()

    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with refused.context() as patch:
        patch.setattr(exports.os, "utime", deny)
        assert exports.exported(report, "/nowhere/nsys").name == "run.sqlite"


def test_exports_that_another_process_may_be_reading_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness import exports

    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path))
    now = time.time()
    for age, kind in ((0, "new"), (exports.IN_USE_S + 60, "old")):
        for number in range(exports.KEEP):
            folder = tmp_path / "exports" / f"{kind}{number}"
            folder.mkdir(parents=True)
            os.utime(folder, (now - age - number,) * 2)
    exports._prune(keep=tmp_path)
    left = sorted(p.name for p in (tmp_path / "exports").iterdir())
    assert left == sorted(f"new{number}" for number in range(exports.KEEP))
    for number in range(exports.KEEP):
        (tmp_path / "exports" / f"more{number}").mkdir()
    exports._prune(keep=tmp_path)
    assert len(list((tmp_path / "exports").iterdir())) == 2 * exports.KEEP


def test_no_nsys_is_one_line_and_other_traces_go_on(harness, report: Path, tmp_path: Path) -> None:
    from .build import decode_loop

    decode_loop().write(tmp_path / "good.sqlite")
    run = harness("gaps", report, "good.sqlite", "--nsys", "/nowhere/nsys",
                  HARNESS_CACHE=str(tmp_path / "cache"))  # fmt: skip
    assert run.returncode == 1
    assert "Idle per steady-state step" in run.stdout
    assert run.stderr.count("/nowhere/nsys") == 1
    assert "1 of 2 traces could be analysed" in run.stderr


def test_an_export_that_fails_leaves_nothing_behind(gaps, tmp_path: Path) -> None:
    run = gaps(FAKE_NSYS="export")
    assert run.returncode == 1
    assert "Traceback" not in run.stderr
    assert [p for p in (tmp_path / "cache").rglob("*") if p.is_file()] == []


def test_two_at_once_both_succeed(gaps, report: Path, tmp_path: Path) -> None:
    nsys = install(tmp_path / "nsys")
    env = os.environ | {"HARNESS_CACHE": str(tmp_path / "cache"), "FAKE_NSYS": "steps"}
    command = [sys.executable, "-m", "harness", "gaps", str(report), "--nsys", nsys]
    both = [
        subprocess.Popen(command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    for one in both:
        _, errors = one.communicate(timeout=120)
        assert one.returncode == 0, errors
    assert len([p for p in (tmp_path / "cache").rglob("*") if p.is_file()]) == 1


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"", "is empty; record it again")]
)
def test_reports_that_are_none(harness, tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "bad.nsys-rep").write_bytes(content)
    run = harness("gaps", "bad.nsys-rep", HARNESS_CACHE=str(tmp_path / "cache"))
    assert run.returncode == 1
    assert says in run.stderr.splitlines()[0]
