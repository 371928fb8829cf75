"""Who was recorded: figures are of those, and the others are named."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.sizes import Sizes, quiet
from harness.analysis.question import Question, StepPattern
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Report, Terminal
from harness.analysis.reports.json import document
from harness.analysis.reports.table import render
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.analysis.verdicts.judge import Level
from harness.analysis.writer.writer import TraceBuilder

US = 1000
STEPS = 20


def workers(*recorded: bool, gpus: int | None = None) -> TraceBuilder:
    """One loop of 1,000 us a step in each of several processes (pid 1000, 2000, ...): kernels at
    20..320 and 420..820 us, that are there or not. Every process has a GPU of its own."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for k, seen in enumerate(recorded):
        process = trace.process(1000 * (k + 1), "worker")
        if gpus is None or k < gpus:
            trace.device(k, name="Test GPU", uuid=f"{k:032x}")
        thread = trace.thread(process, 1000 * (k + 1), "main")
        for step in range(STEPS):
            base = 1000 * (step + 1)
            trace.nvtx(base * US, (base + 990) * US, f"Step {step}", thread=thread)
            for begin, end in ((20, 320), (420, 820)):
                called = base + begin - 10
                if seen:
                    trace.launch(
                        called * US, (called + 5) * US, (base + begin) * US, (base + end) * US,
                        thread=thread, device=k,
                    )  # fmt: skip
                else:
                    trace.api(
                        called * US, (called + 5) * US, "cudaLaunchKernel_v7000", thread=thread
                    )
    return trace


def looked_at(trace: TraceBuilder, folder: Path) -> TraceReport:
    path = folder / "trace.sqlite"
    trace.write(path, force=True)
    return analyze(path)


def shown(found: TraceReport) -> str:
    return render(Report((found,), (), Question(all_tables=True)), Terminal(200))


def test_a_process_without_gpu_rows_does_not_condemn_the_others(tmp_path: Path) -> None:
    found = looked_at(workers(True, False), tmp_path)
    (device,) = found.devices
    assert (device.window_ns, device.busy_ns, device.idle_ns) == (
        19_800 * US,
        14_000 * US,
        5_800 * US,
    )
    (series,) = found.series
    assert series.pid == 1000
    assert series.steady is not None
    assert series.steady.idle_ns == 300 * US
    (verdict,) = found.verdicts
    assert (verdict.code, verdict.level) == ("process-not-recorded", Level.DEGRADED)
    assert verdict.reason.startswith(
        "none of the 40 launches of process 2000 left a GPU operation: the figures are those of "
        "process 1000"
    )
    assert "spawn" in verdict.remedy
    assert "--trace-fork-before-exec" in verdict.remedy


def test_where_there_is_one_gpu_the_work_that_is_missing_was_on_it(tmp_path: Path) -> None:
    found = looked_at(workers(True, False, gpus=1), tmp_path)
    (verdict,) = found.verdicts
    assert (verdict.code, verdict.level) == ("process-not-recorded", Level.INVALID)
    assert "busy time is missing" in verdict.reason


def test_processes_of_which_all_was_recorded_are_not_spoken_of(tmp_path: Path) -> None:
    found = looked_at(workers(True, True), tmp_path)
    assert found.verdicts == ()
    assert [d.idle_ns for d in found.devices] == [5_800 * US] * 2


def test_launches_lost_in_a_recorded_process_are_still_counted_there(tmp_path: Path) -> None:
    trace = workers(True, False)
    thread = trace.thread(trace.process(1000, "worker"), 1000, "main")
    for k in range(10):
        trace.api((3000 + k) * US, (3000 + k) * US + 500, "cudaLaunchKernel_v7000", thread=thread)
    found = looked_at(trace, tmp_path)
    reasons = {v.code: v.reason for v in found.verdicts}
    assert reasons["launches-without-gpu-rows"].startswith("10 of 50 launches (20.00%)")
    assert "process-not-recorded" in reasons


def test_the_census_counts_each_process(tmp_path: Path) -> None:
    trace = workers(True, False)
    process = trace.process(2000, "worker")
    trace.diagnostic(0, "CUDA injection failed for this process", severity=3, process=process)
    found = looked_at(trace, tmp_path)
    names = ("pid", "ranges", "calls", "launches", "recorded_launches", "operations")
    census = document(Report((found,)))["traces"][0]["processes"]
    assert [tuple(row[name] for name in names) for row in census] == [
        (1000, 20, 40, 40, 40, 40),
        (2000, 20, 40, 40, 0, 0),
    ]
    assert [row["diagnostics"] for row in census] == [
        "",
        "error: CUDA injection failed for this process",
    ]
    assert "Each recorded process" in shown(found)


@pytest.mark.parametrize("rows", [1, 7, 1000])
def test_a_stored_trace_has_the_same_census(tmp_path: Path, rows: int) -> None:
    trace = workers(True, False, True)
    trace.diagnostic(0, "CUDA injection failed", severity=3, process=trace.process(2000, "worker"))
    found = looked_at(trace, tmp_path)
    (folder := tmp_path / "store").mkdir()
    build_store(tmp_path / "trace.sqlite", folder, 1 << 28, quiet)
    stored = analyze(Store(folder, tmp_path / "trace.sqlite"), Question(), Sizes(rows, rows))
    assert stored.processes == found.processes
    assert stored.verdicts == found.verdicts
    assert [p.common for p in found.processes] == [(("Step *", 20),)] * 3


@pytest.mark.parametrize(
    "question",
    [Question(start=5000 * US, end=9000 * US), Question(steps=(3, 9)), Question(end=9000 * US)],
)
def test_what_counts_more_than_the_window_says_so(tmp_path: Path, question: Question) -> None:
    trace = workers(True, False)
    path = tmp_path / "trace.sqlite"
    trace.write(path)
    build_store(path, tmp_path, 1 << 28, quiet)
    found = analyze(path, question)
    assert analyze(Store(tmp_path, path), question).verdicts == found.verdicts
    reasons = {v.code: v.reason for v in found.verdicts}
    assert reasons.pop("process-not-recorded").startswith(
        "in the whole trace, none of the 40 launches of process 2000"
    )
    assert not any("whole trace" in reason for reason in reasons.values())  # few-steps
    assert "whole trace" not in analyze(path, Question()).verdicts[0].reason


def test_one_process_needs_no_census_on_the_screen(tmp_path: Path) -> None:
    assert "Each recorded process" not in shown(looked_at(workers(True), tmp_path))


def test_steps_in_one_process_and_launches_in_another(tmp_path: Path) -> None:
    trace = workers(True)
    server = trace.thread(trace.process(7, "server"), 7, "main")
    for k in range(12):
        trace.nvtx(1000 * US * (k + 1), 1000 * US * (k + 1) + 9, f"request {k}", thread=server)
    path = tmp_path / "trace.sqlite"
    trace.write(path, force=True)
    found = analyze(path, Question(patterns=(StepPattern.glob("request *"),)))
    (verdict,) = (v for v in found.verdicts if v.figures == "steps")
    assert (verdict.code, verdict.level) == ("steps-elsewhere", Level.INVALID)
    assert "process 7, which launched nothing; process 1000 launched 40" in verdict.reason
    assert verdict.remedy.endswith("there are 'Step *' (20)")
    assert found.devices[0].idle_ns == 5_800 * US


def test_operations_of_nobody_are_no_sign_of_a_lost_process(tmp_path: Path) -> None:
    trace = workers(True, True)
    path = tmp_path / "trace.sqlite"
    trace.write(path, force=True)
    with sqlite3.connect(path) as base:
        base.execute("UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET globalPid = 0")
    base.close()
    found = analyze(path)
    assert "launches-without-gpu-rows" in [v.code for v in found.verdicts]
    assert "process-not-recorded" not in [v.code for v in found.verdicts]
