"""The steady state cut into periods: what comparisons and ranks take for a step."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.compare.sample_sets import trace_side
from harness.analysis.idle import per_step
from harness.analysis.idle.per_step import Periods
from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question, StepPattern
from harness.analysis.ranks.collectives import rank_steps
from harness.analysis.report import TraceReport, positions
from harness.analysis.scenes.moments import figures_of

from .build import US, builder, report


def periods_of(found: TraceReport) -> Periods:
    (summary,) = found.series
    device, series = positions(found, summary)
    split = found.attributions[device]
    return per_step.periods_of(found.trace, found.gaps[device], split, found.steps.series[series])


def test_idle_around_work_outside_every_step_is_not_busy(tmp_path: Path) -> None:
    trace, thread = builder()
    for host in range(0, 16 * 150, 150):
        trace.nvtx(host * US, (host + 50) * US, f"Step {host // 150}", thread=thread)
        for call, start, end in ((2, 10, 30), (60, 80, 90)):
            trace.launch(
                (host + call) * US, (host + call + 2) * US, (host + start) * US, (host + end) * US,
                thread=thread,
            )  # fmt: skip
    found = report(trace, tmp_path)
    (subject,) = trace_side("one", [found]).subjects
    means = {name: sample.estimate / US for name, sample in subject.samples.items()}
    steady = found.series[0].steady
    assert steady is not None
    assert (means["step"], means["busy"], means["idle"]) == (150, 30, 120)
    assert (steady.period_ns, steady.busy_ns, steady.idle_ns) == (150 * US, 30 * US, 120 * US)
    assert {name: means[f"idle: {name}"] for name in ("host", "launch", "queue")} == {
        "host": 92, "launch": 4, "queue": 24,
    }  # fmt: skip


def test_steps_that_begin_in_another_order_than_they_were_launched(tmp_path: Path) -> None:
    trace, thread = builder()
    for step in range(8):
        host = step * 100
        start = host + (180 if step == 4 else 20)  # after the work of step 5 began
        trace.nvtx(host * US, (host + 50) * US, f"Step {step}", thread=thread)
        trace.launch(
            (host + 5) * US, (host + 10) * US, start * US, (start + 30) * US,
            thread=thread, stream=7 + (step == 4), name="ncclDevKernel_AllReduce_Sum",
        )  # fmt: skip
    found = report(trace, tmp_path)
    periods, steady = periods_of(found), found.series[0].steady
    assert steady is not None
    # Before step 4's work the GPU falls quiet at 550, before that of step 5 at 350.
    edges = [*periods.steady.start, periods.steady.end[-1]]
    assert [edge // US for edge in edges] == [50, 150, 250, 550, 550, 610, 650]
    assert edges[1:] == periods.steady.end.tolist()
    assert periods.period.mean() == steady.period_ns
    assert (periods.busy + periods.by_cause.sum(axis=0)).tolist() == periods.period.tolist()
    figures = figures_of(found, found.series[0])
    assert figures.period[figures.steady].tolist() == periods.period.tolist()
    (rank,) = rank_steps(found)
    assert rank.period.tolist() == periods.period.tolist()


def test_patterns_of_one_text_are_told_apart(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(6):
        trace.nvtx(k * 100 * US, (k * 100 + 50) * US, f"{'ab'[k % 2]}S {k}", thread=thread)
        trace.launch(
            (k * 100 + 2) * US, (k * 100 + 4) * US, (k * 100 + 10) * US, (k * 100 + 30) * US,
            thread=thread,
        )  # fmt: skip
    patterns = (StepPattern.glob("aS*"), StepPattern.of_regex("aS*"))
    trace.nvtx(600 * US, 601 * US, "a", thread=thread)  # for the regular expression alone
    found = report(trace, tmp_path, Question(patterns=patterns))
    assert [len(one) for one in found.steps.series] == [3, 4]
    for place, summary in enumerate(found.series):
        assert positions(found, summary) == (0, place)
        assert np.array_equal(figures_of(found, summary).number, summary.table.number)


def test_many_threads_on_many_gpus_can_be_looked_at_one_gpu_at_a_time(tmp_path: Path) -> None:
    trace, first = builder()
    for gpu in range(1, 8):
        trace.device(gpu, name="Test GPU", uuid=f"gpu-{gpu}")
    for k in range(20):
        thread = trace.thread(first & ~0xFFFFFF, 200 + k, f"worker {k}")
        for n in range(8):
            at = (n * 100 + k) * US
            trace.nvtx(at, at + 50 * US, f"Step {n}", thread=thread)
            trace.launch(at + US, at + 2 * US, at + 3 * US, at + 9 * US, thread=thread, device=n)
    with pytest.raises(TraceError, match="160 pairs"):
        report(trace, tmp_path)
    assert len(report(trace, tmp_path, Question(device=5)).series) == 20
