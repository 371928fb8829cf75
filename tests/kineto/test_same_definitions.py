"""One trace as an nsys export and as torch.profiler JSON: the same figures, to the nanosecond."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.trace import Trace
from harness.analysis.question import DEFAULT_STEP, Question, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport

from .kineto_json import events_of, kineto_2_11, kineto_2_13

TRACES = Path(__file__).parents[2] / "traces"
EXAMPLES = sorted(TRACES.glob("*.sqlite"))


AS_RECORDED = Question((DEFAULT_STEP,), as_recorded=True)


def figures(report: TraceReport) -> list[object]:
    """What a report says, without names of files and devices or times against its own zero."""
    found: list[object] = [report.all_window_ns, report.all_idle_ns]
    for device in report.devices:
        found += [device.busy_ns, device.idle_ns, device.operations, device.gaps, device.causes,
                  device.drained_by, device.host_ranges]  # fmt: skip
    for series in report.series:
        found += [series.inter_ns, series.intra_ns, series.unassigned_ns, series.idle_per_step,
                  series.step_gpu, series.hull_overlap_ns]  # fmt: skip
        if series.steady is not None:
            found += [series.steady.period_ns, series.steady.host_ns, series.steady.causes,
                      series.steady.drained_by, series.steady.limiter]  # fmt: skip
    found += [(host.steps, host.duration, host.period) for host in report.host]
    for gaps, split in zip(report.gaps, report.attributions, strict=True):
        found.append([gaps.length.tolist(), split.time.tolist(), (split.drained_by >= 0).tolist()])
    return found


def both(folder: Path, trace: Trace, layout, question: Question) -> tuple[TraceReport, TraceReport]:
    path = folder / "same.json"
    path.write_bytes(layout(events_of(trace)))
    return analyze(trace, question), analyze(path, question)


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
@pytest.mark.parametrize("layout", [kineto_2_11, kineto_2_13])
def test_examples(tmp_path: Path, path: Path, layout) -> None:
    nsys, kineto = both(tmp_path, open_trace(path), layout, AS_RECORDED)
    # What the device loops has no range for its steps.
    assert len(kineto.series) == (path.stem != "h100-device-loop")
    assert all(series.steady is not None for series in kineto.series)
    assert figures(kineto) == figures(nsys)


def test_real_export(tmp_path: Path, public_traces: Path) -> None:
    """Two streams' worth of kernels, copies and memsets, with ranges named by the author."""
    trace = open_trace(public_traces / "power_iteration.sqlite")
    question = Question((StepPattern.of_regex(r"^Step \d+ to \d+$"),))
    nsys, kineto = both(tmp_path, trace, kineto_2_13, question)
    assert len(nsys.gaps[0]) == 3777
    assert kineto.gaps[0].idle_ns == nsys.gaps[0].idle_ns == 658_549_185
    ours, theirs = (r.attributions[0] for r in (kineto, nsys))
    rows = [k for k, cause in enumerate(theirs.causes) if cause.name != "profiler"]
    # nsys reports its own overhead, which Kineto would not: all else must agree.
    quiet = theirs.time[[c.name == "profiler" for c in theirs.causes]].sum(axis=0) == 0
    assert np.array_equal(ours.time[rows][:, quiet], theirs.time[rows][:, quiet])
    assert np.array_equal(kineto.steps.series[0].step_of, nsys.steps.series[0].step_of)
