"""`harness gaps` on a .nsys-rep: exported once, never stale, never beside the user's files."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
def gaps(inside, tmp_path: Path, report: Path):
    """Analyse the report with a stand-in for nsys whose exports hold three steps."""
    nsys = install(tmp_path / "nsys")

    def run(*args: object, **env: str):
        settings = {"HARNESS_CACHE": str(tmp_path / "cache"), "FAKE_NSYS": "steps"} | env
        return inside("gaps", report, *args, "--nsys", nsys, **settings)

    return run


def kept(tmp_path: Path) -> list[str]:
    return sorted(p.name for p in (tmp_path / "cache").rglob("*") if p.is_file())


def found(run) -> dict:
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)["traces"][0]


def test_exported_once_and_into_the_cache_alone(gaps, report: Path, tmp_path: Path) -> None:
    first = gaps("--format", "json")
    assert found(first)["path"] == str(report)
    assert found(first)["host_series"][0]["steps"] == 3
    assert first.stderr == ""
    (before,) = (tmp_path / "cache" / "exports").glob("*/run.sqlite")
    made = before.stat().st_mtime_ns
    assert gaps().stderr == ""
    assert [p.name for p in report.parent.iterdir()] == ["run.nsys-rep"]
    assert kept(tmp_path) == ["run.sqlite", "trace.txt"]
    assert before.stat().st_mtime_ns == made


def test_a_report_that_changed_is_exported_again(gaps, report: Path, tmp_path: Path) -> None:
    gaps()
    report.write_text("another report")
    gaps()
    assert kept(tmp_path).count("run.sqlite") == 2
    before = report.stat()
    report.write_text("ANOTHER REPORT")  # of the same size, in the same second
    os.utime(report, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    gaps()
    assert kept(tmp_path).count("run.sqlite") == 3


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
    (line,) = run.stderr.strip().splitlines()
    assert "its export cannot be kept in" in line
    assert "HARNESS_CACHE" in line


def test_a_cached_export_needs_neither_nsys_nor_a_cache_that_can_be_written(
    gaps, report: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.run import exports

    gaps()
    monkeypatch.setenv("HARNESS_CACHE", str(tmp_path / "cache"))
    refused = pytest.MonkeyPatch()

    def deny(*args: object, **kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    with refused.context() as patch:
        patch.setattr(exports.os, "utime", deny)
        patch.setenv("PATH", str(tmp_path))
        assert exports.exported(report).name == "run.sqlite"


def test_exports_that_another_process_may_be_reading_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness.run import exports

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


def test_a_failed_export_is_one_line_and_other_traces_go_on(
    harness, report: Path, tmp_path: Path
) -> None:
    from .build import decode_loop

    decode_loop().write(tmp_path / "good.sqlite")
    nsys = install(tmp_path / "nsys")
    run = harness("gaps", report, "good.sqlite", "--nsys", nsys, FAKE_NSYS="export",
                  HARNESS_CACHE=str(tmp_path / "cache"))  # fmt: skip
    assert run.returncode == 1
    assert "What each change alone would win" in run.stdout
    first, last = run.stderr.strip().splitlines()
    assert first.startswith(f"harness: error: {report}: nsys export failed with exit code 1")
    assert last == "harness: error: 1 of 2 traces could be analysed [some-failed]"


@pytest.mark.parametrize(
    "command", ["gaps", "report", "show", "export --to csv", "scrub -o c.sqlite", "compare"]
)
def test_an_nsys_that_is_not_there_is_an_error_always(
    gaps, inside, report: Path, tmp_path: Path, command: str
) -> None:
    """With an export in the cache, and with traces that need none."""
    from .build import decode_loop

    assert gaps().returncode == 0
    decode_loop().write(tmp_path / "good.sqlite")
    name, *options = command.split()
    for trace in (report, "good.sqlite"):
        traces = [trace] * (2 if name == "compare" else 1)
        run = inside(name, *traces, *options, "--nsys", "/nowhere/nsys",
                      HARNESS_CACHE=str(tmp_path / "cache"))  # fmt: skip
        (line,) = run.stderr.strip().splitlines()
        assert run.returncode == 2
        assert line.startswith("harness: error: --nsys /nowhere/nsys: no such executable; ")
        assert run.stdout == ""


def test_files_that_are_no_reports_are_named_and_the_advice_fits(inside, tmp_path: Path) -> None:
    nsys = shutil.which("nsys")
    if nsys is None:
        pytest.skip("nsys is not on PATH: its own words about bad reports not checked")
    for name in ("junk.nsys-rep", "j2.nsys-rep"):
        (tmp_path / name).write_text("no report at all")
    where = {"HARNESS_CACHE": str(tmp_path / "cache")}
    both = inside("gaps", "junk.nsys-rep", "j2.nsys-rep", **where)
    one = inside("report", "junk.nsys-rep", "-o", "page.html", **where)
    *lines, last = both.stderr.strip().splitlines()
    assert last == "harness: error: 0 of 2 traces could be analysed [some-failed]"
    names = ("junk.nsys-rep", "j2.nsys-rep", "junk.nsys-rep")
    for line, name in zip([*lines, *one.stderr.strip().splitlines()], names, strict=True):
        assert line.startswith(f"harness: error: {name}: nsys export failed")
        assert (
            "the file is not a report of Nsight Systems, is damaged, or was made by a newer" in line
        )
        assert "space" not in line
    assert both.returncode == one.returncode == 1
    assert kept(tmp_path) == []
    scrubbed = inside("scrub", "junk.nsys-rep", "-o", "clean.sqlite", **where)
    assert scrubbed.returncode == 1


VIEWS = [(), ("--plot",), ("--by", "cause"), ("--format", "json", "--definitions", "--top", "3")]


@pytest.mark.parametrize("how", ["--no-cache", "off"])
def test_nothing_is_kept_where_nothing_is_to_be(gaps, tmp_path: Path, how: str) -> None:
    (tmp_path / "tmp").mkdir()
    off = {"HARNESS_CACHE": "off", "XDG_CACHE_HOME": str(tmp_path / "cache")}
    env = {"TMPDIR": str(tmp_path / "tmp")} | (off if how == "off" else {})
    for view in VIEWS:
        words = (*view, "--no-cache") if how == "--no-cache" else view
        alone = gaps(*words, **env)
        assert (alone.returncode, alone.stderr) == (0, ""), alone.stderr
        assert list((tmp_path / "tmp").iterdir()) == []
        assert kept(tmp_path) == []
    failed = gaps("--no-cache", FAKE_NSYS="export", **env)
    assert failed.returncode == 1
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.fixture
def short() -> Iterator[Path]:
    """A temporary folder for a process: the sockets in it allow no long path."""
    with tempfile.TemporaryDirectory(prefix="io-") as folder:
        yield Path(folder)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupt_removes_an_export_that_is_not_kept(
    report: Path, tmp_path: Path, short: Path, jobs: str
) -> None:
    nsys, began = install(tmp_path / "nsys"), tmp_path / "began"
    other = report.with_name("other.nsys-rep")
    other.write_text("report")
    env = os.environ | {
        "TMPDIR": str(short), "FAKE_NSYS": "hangs", "FAKE_NSYS_BEGAN": str(began),
        "HARNESS_CACHE": str(tmp_path / "cache"),
    }  # fmt: skip
    words = ["gaps", report, other, "--no-cache", "--nsys", nsys, "--jobs", jobs]
    run = subprocess.Popen(
        [sys.executable, "-m", "harness", *map(str, words)], env=env, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not began.exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert began.exists()
    assert list(short.rglob("*.sqlite")) != []
    run.send_signal(signal.SIGINT)
    _, said = run.communicate(timeout=60)
    assert (run.returncode, said.strip()) == (130, "harness: interrupted")
    assert list(short.glob("harness-*")) == []
    assert kept(tmp_path) == []


def test_exports_are_listed_with_their_size(gaps, inside, report: Path, tmp_path: Path) -> None:
    gaps()
    where = {"HARNESS_CACHE": str(tmp_path / "cache")}
    size = sum(p.stat().st_size for p in (tmp_path / "cache").rglob("*") if p.is_file())
    line, traces, exports = inside("cache", **where).stdout.splitlines()
    assert line.split()[0] == f"{size / 1e3:.0f}"
    assert line.endswith(f"export of {report}")
    assert traces.split()[:2] == ["0", "kB"]
    assert exports.split()[0] == f"{size / 1e3:.0f}"
    assert f"{size / 1e3:.0f} kB" in inside("cache", "clear", **where).stderr
    assert kept(tmp_path) == []


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
    assert kept(tmp_path) == ["run.sqlite", "trace.txt"]


@pytest.mark.parametrize(
    ("content", "says"), [(None, "No such file"), (b"", "is empty; record it again")]
)
def test_reports_that_are_none(inside, tmp_path: Path, content: bytes | None, says: str) -> None:
    if content is not None:
        (tmp_path / "bad.nsys-rep").write_bytes(content)
    run = inside("gaps", "bad.nsys-rep", HARNESS_CACHE=str(tmp_path / "cache"))
    assert run.returncode == 1
    assert says in run.stderr.splitlines()[0]
