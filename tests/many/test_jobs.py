"""`harness gaps` on many traces: the same bytes however many processes, and what befalls them."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.reports.slim import slim

from ..analysis.build import decode_loop
from ..conftest import ROOT

VIEWS = (
    (), ("--by", "step"), ("--by", "cause"), ("--by", "stream"), ("--by", "strategy"),
    ("--by", "rank"), ("--top", "3"), ("--definitions",),
)  # fmt: skip


@pytest.fixture
def some(tmp_path: Path) -> list[str]:
    """Traces of two strategies, and files that are none."""
    decode_loop(sync="stream").write(tmp_path / "a.sqlite")
    decode_loop(sync="never").write(tmp_path / "b.sqlite")
    (tmp_path / "broken.sqlite").write_text("not a trace")
    decode_loop(sync="pageable", delay={5: 900}).write(tmp_path / "c.sqlite")
    return ["a.sqlite", "missing.sqlite", "b.sqlite", "broken.sqlite", "c.sqlite"]


@pytest.mark.parametrize("form", ["json", "table"])
def test_the_report_is_the_same_to_the_byte(harness, some: list[str], form: str) -> None:
    options = ("--format", form, "--definitions", "--top", "3", "--by", "cause")
    runs = [harness("gaps", *some, *options, "--jobs", str(jobs)) for jobs in (1, 3)]
    assert len({(run.returncode, run.stdout, run.stderr) for run in runs}) == 1
    assert runs[0].returncode == 1
    assert "missing.sqlite: No such file" in runs[0].stderr
    assert "broken.sqlite is not an SQLite file" in runs[0].stderr
    assert "3 of 5 traces could be analysed" in runs[0].stderr


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", ["json", "csv", "md", "table"])
def test_a_slim_report_shows_what_the_whole_one_does(public_traces: Path, view, name: str) -> None:
    """Every view of every format, of a trace with its arrays and without."""
    from harness.analysis.reports.base import Report, Terminal, reporter

    by = view[1] if view[:1] == ("--by",) else None
    question = Question(by=by, top=3 if "--top" in view else 0, definitions="--definitions" in view)
    whole = (
        _whole(public_traces / "graph_level.sqlite"),
        _whole(ROOT / "traces" / "example-sync.sqlite"),
    )
    sent = tuple(pickle.loads(pickle.dumps(slim(one, question))) for one in whole)
    drawn = [
        reporter(name).render(Report(reports, (), question), Terminal())
        for reports in (whole, sent)
    ]
    assert drawn[0] == drawn[1]


_KNOWN: dict[Path, object] = {}


def _whole(path: Path):
    if path not in _KNOWN:
        _KNOWN[path] = analyze(path)
    return _KNOWN[path]


def test_what_a_trace_leaves_behind_is_small() -> None:
    whole = analyze(ROOT / "traces" / "h100-kv-cache.sqlite")
    size = len(pickle.dumps(slim(whole, Question())))
    assert size < 20_000
    assert len(pickle.dumps(whole)) > 20 * size


def test_a_view_that_was_not_kept_is_not_made_up() -> None:
    from harness.analysis.reports.base import Report
    from harness.analysis.reports.tables import by_cause

    thin = slim(analyze(ROOT / "traces" / "example-sync.sqlite"), Question())
    with pytest.raises(AssertionError, match=r"by_cause .* was not kept"):
        by_cause(Report((thin,)))


def start(folder: Path, *args: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "gaps", *args],
        cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        start_new_session=True,
    )  # fmt: skip


def workers(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes that analyse, once there are two: children of the server that makes them."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert process.poll() is None, process.stderr and process.stderr.read()
        below = psutil.Process(process.pid).children()
        found = [child for server in below for child in server.children()]
        if len(found) >= 2:
            return found
        time.sleep(0.02)
    raise AssertionError("no processes were started")


def gone(processes: list[psutil.Process]) -> None:
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive


def test_a_killed_process_costs_nothing_but_time(harness, links, tmp_path: Path) -> None:
    names = links(24)
    known = harness("gaps", *names, "--by", "strategy", "--format", "csv", "--jobs", "1")
    process = start(tmp_path, *names, "--by", "strategy", "--format", "csv", "--jobs", "2")
    time.sleep(0.3)
    workers(process)[0].kill()
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert out == known.stdout


def test_interrupt_ends_all_of_them_at_once(links, tmp_path: Path) -> None:
    process = start(tmp_path, *links(400), "--jobs", "2")
    children = psutil.Process(process.pid).children() + workers(process)
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, "", "harness: interrupted")
    gone(children)


def test_a_killed_parent_leaves_nobody(links, tmp_path: Path) -> None:
    process = start(tmp_path, *links(400), "--jobs", "2")
    children = psutil.Process(process.pid).children() + workers(process)
    process.kill()
    process.communicate(timeout=60)
    gone(children)


def test_a_program_without_a_guard_may_start_them(some: list[str], tmp_path: Path) -> None:
    """Each process would run the program again, were it told what the program is."""
    program = tmp_path / "wrapper.py"
    program.write_text("from harness.cli import main\nmain()\n")
    run = subprocess.run(
        [sys.executable, "wrapper.py", "gaps", "a.sqlite", "b.sqlite", "--jobs", "2"],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
        timeout=120, check=False,
    )  # fmt: skip
    assert (run.returncode, run.stderr) == (0, "")


def test_places_that_exclude_one_another(harness) -> None:
    for args in (("--jobs", "2", "--dask", "tcp://x"), ("--jobs", "2", "--plot")):
        run = harness("gaps", "a.sqlite", *args)
        assert run.returncode == 2
        assert "leave one of them out" in run.stderr or "give one of them" in run.stderr
