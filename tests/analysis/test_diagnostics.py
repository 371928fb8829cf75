"""What the profiler says of its own recording reaches the reader, and nothing else does."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.source import ERROR, WARNING
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.diagnostics import safe
from harness.analysis.verdicts.judge import Level, Verdict

from ..report.build import loop

INFO, VERBOSE = 1, 4


def said(path: Path, *messages: tuple[object, object], change: str = "") -> list[Verdict]:
    """The verdicts of diagnostics on a trace with these (severity, text), changed by some SQL."""
    trace = loop(path / "run.sqlite")
    with contextlib.closing(sqlite3.connect(trace)) as base:
        base.executescript(change)
        base.execute("DROP TABLE IF EXISTS DIAGNOSTIC_EVENT")
        base.execute(
            "CREATE TABLE DIAGNOSTIC_EVENT (timestamp INTEGER, timestampType INTEGER, "
            "source INTEGER, severity INTEGER, text TEXT, globalPid INTEGER)"
        )
        base.executemany("INSERT INTO DIAGNOSTIC_EVENT VALUES (1, 1, 3, ?, ?, NULL)", messages)
        base.commit()
    found = analyze(trace, Question()).verdicts
    return [verdict for verdict in found if verdict.code == "profiler-diagnostics"]


def test_a_warning(tmp_path: Path) -> None:
    (verdict,) = said(tmp_path, (WARNING, "CUDA trace buffers were lost."))
    assert verdict.code == "profiler-diagnostics"
    assert (verdict.figures, verdict.level) == ("all", Level.DEGRADED)
    assert verdict.reason == "the profiler itself warned: 'CUDA trace buffers were lost.'"


DOUBT = "Not all {} events might have been collected."


def test_doubts_about_launches_that_all_ran_are_passed_over(tmp_path: Path) -> None:
    """nsys 2025.3 writes them into every recording of a range, complete or not."""
    assert said(tmp_path, (WARNING, DOUBT.format("CUDA"))) == []
    with contextlib.closing(sqlite3.connect(tmp_path / "run.sqlite")) as base:
        base.execute("DELETE FROM CUPTI_ACTIVITY_KIND_KERNEL WHERE rowid = 5")
        base.commit()
    found = analyze(tmp_path / "run.sqlite", Question()).verdicts
    assert {v.code for v in found} == {"launches-without-gpu-rows", "profiler-diagnostics"}


@pytest.mark.parametrize(
    ("facts", "count"),
    [
        (None, 1),  # nobody knows how many ranges were opened
        ({"ranges_issued": 14, "ranges_found": 14}, 0),
        ({"ranges_issued": 0, "ranges_found": 0}, 1),
        ({"ranges_issued": 15, "ranges_found": 14}, 1),
        ({"ranges_issued": "14", "ranges_found": 14}, 1),
        ("text", 1),
    ],
)
def test_doubts_about_ranges_that_were_counted(tmp_path: Path, facts: object, count: int) -> None:
    if facts is not None:
        manifest = {"manifest_version": 1, "capture": {"completeness": facts}}
        (tmp_path / "run.json").write_text(json.dumps(manifest))
    assert len(said(tmp_path, (WARNING, DOUBT.format("NVTX")), change=HOLE)) == count


HOLE = """DELETE FROM NVTX_EVENTS WHERE textId = (SELECT id FROM StringIds WHERE value = 'Step 6')
    OR text = 'Step 6';"""


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("", 0),  # Step 0 to Step 13: none is missing between them
        (HOLE, 1),
        (HOLE.replace("DELETE FROM NVTX_EVENTS", "UPDATE NVTX_EVENTS SET end = NULL"), 1),
    ],
)
def test_doubts_about_ranges_where_steps_are_numbered(
    tmp_path: Path, change: str, count: int
) -> None:
    assert len(said(tmp_path, (WARNING, DOUBT.format("NVTX")), change=change)) == count


def test_every_tenth_step_has_a_number(public_traces: Path) -> None:
    """`Step 0 to 10`, `Step 10 to 20` ...: the doubt in that real export is refuted."""
    question = Question(patterns=(StepPattern.glob("Step *"),))
    found = analyze(public_traces / "power_iteration.sqlite", question).verdicts
    assert "profiler-diagnostics" not in {verdict.code for verdict in found}


def test_errors_come_first_each_text_once_and_three_at_most(tmp_path: Path) -> None:
    (verdict,) = said(
        tmp_path,
        *((WARNING, f"warning {k}") for k in range(3)),
        *((ERROR, "42 events were dropped") for _ in range(7)),
    )
    assert verdict.code == "profiler-diagnostics"
    assert verdict.reason == (
        "the profiler itself reported errors: '42 events were dropped' (7 times); 'warning 0'; "
        "'warning 1' and 1 more"
    )


def test_long_and_hostile_texts_are_cut_and_made_safe(tmp_path: Path) -> None:
    text = "lost\x1b[31m \u202e in /home/me/secret dir/x.py\n TOKEN=hunter2; " + "x" * 500
    (verdict,) = said(tmp_path, (ERROR, text))
    assert "secret" not in verdict.reason.replace("dir", "")
    assert "hunter2" not in verdict.reason
    assert verdict.reason.isprintable()
    assert len(verdict.reason) < 220


@pytest.mark.parametrize(
    "message",
    [
        (INFO, "Profiling has started."),
        (VERBOSE, "Not all CUDA events might have been collected."),
        (WARNING, "No OpenGL events collected. Does the process use OpenGL?"),
        (WARNING, "No NVTX events collected. Does the process use NVTX?"),
        (WARNING, ""),
        ("no number", "the table is passed over"),
        (None, None),
    ],
)
def test_what_says_nothing_of_the_figures(tmp_path: Path, message: tuple[object, object]) -> None:
    assert said(tmp_path, message) == []


def test_paths_and_values() -> None:
    assert safe("see C:\\Users\\me\\x.log and ~/y, HOME=/root") == "see … and …, HOME=…"
    assert safe("and/or 12.9/13.1") == "and… 12.9…"


@pytest.mark.parametrize(
    "text",
    [
        "Unable to collect CPU kernel IP/backtrace samples. perf event paranoid level is 2. \n"
        "Change the paranoid level to 1 to enable CPU kernel sample collection.",
        "Unable to collect CPU kernel IP samples and backtraces. perf event paranoid level is 2.",
        "Collection of CPU IP/backtrace samples or context switch data disabled.",
        "Unable to configure the collection of CPU IP/backtrace samples, context switch data, or "
        "event sampling data. Try the 'nsys status --environment' command to learn more.",
        "Failed to load symbols for VMA 0x7fc731082000-0x7fc73152c000 from '/opt/libx.so'",
    ],
)
@pytest.mark.parametrize("severity", [WARNING, ERROR])
def test_what_concerns_the_cpu_alone(tmp_path: Path, severity: int, text: str) -> None:
    assert said(tmp_path, (severity, text)) == []


@pytest.mark.parametrize(
    "text",
    [
        "CUDA profiling might have not been started correctly.",
        "No CUDA events collected. Does the process use CUDA?",
        "Installed CUDA driver version (13.2) is not supported by this build of Nsight Systems. "
        "CUDA trace will be collected using libraries for driver version 13.1",
    ],
)
def test_doubts_that_counts_refute(tmp_path: Path, text: str) -> None:
    (tmp_path / "lossy").mkdir()
    assert said(tmp_path, (WARNING, text)) == []
    lost = "DELETE FROM CUPTI_ACTIVITY_KIND_KERNEL WHERE rowid % 5 = 0"
    (verdict,) = said(tmp_path / "lossy", (WARNING, text), change=lost)
    assert text[:40] in verdict.reason


def test_unified_memory_is_doubted_where_it_is_used(tmp_path: Path) -> None:
    text = "CUDA device 0: Unified Memory cannot be traced on devices that don't support it."
    (tmp_path / "used").mkdir()
    assert said(tmp_path, (WARNING, text)) == []
    used = (
        "INSERT INTO StringIds VALUES (90001, 'cudaMallocManaged_v6000');"
        "INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME (start, end, eventClass, globalTid, nameId, "
        "returnValue) SELECT start, start, eventClass, globalTid, 90001, 0 "
        "FROM CUPTI_ACTIVITY_KIND_RUNTIME LIMIT 1"
    )
    assert len(said(tmp_path / "used", (WARNING, text), change=used)) == 1
