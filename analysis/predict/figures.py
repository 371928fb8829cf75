"""The figures of a simulated log, worked out by the same analysis as those of a recorded trace."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from msgspec import Struct

from ..analyze import analyze
from ..gains.errors import TooFewSteps
from ..gains.log import Log
from ..idle.engines import of_steady_state
from ..idle.figures import SeriesSummary, Steady
from ..idle.steps import StepSeries
from ..model.errors import TraceError
from ..model.intervals import Int64
from ..question import DEFAULT_STEP, Question, StepPattern
from ..report import TraceReport, positions
from ..writer.writer import TraceBuilder
from .to_trace import Place, fill, plain_place


class Looked(Struct, frozen=True):
    """One step series on one device, in its steady state."""

    report: TraceReport
    summary: SeriesSummary
    series: StepSeries
    steady: Steady

    @property
    def periods(self) -> Int64:
        """From one interior step's first operation to the next one's, ns; shape (steps,)."""
        table = self.summary.table
        found: Int64 = np.diff(table.gpu_start[table.operations > 0])[1:]
        return found


def look(report: TraceReport, device: int | None = None, *, called: str | None = None) -> Looked:
    """The series with the most operations, on the device where it has them; an engine's decode
    steps before its prefills.

    `device` is an ordinal; `called` is what an error calls the trace, its path if not given. Raises
    TraceError where no series has a steady state.
    """
    found = [
        one
        for one in report.series
        if one.steady is not None
        and (device is None or report.trace.devices[one.device].ordinal == device)
    ]
    if not found:
        raise _unsteady(called or str(report.trace.path), bool(report.series))
    best = max(
        found, key=lambda one: (of_steady_state(one.pattern), int(one.table.operations.sum()))
    )
    _, series = positions(report, best)
    assert best.steady is not None
    return Looked(report, best, report.steps.series[series], best.steady)


def _unsteady(called: str, any_steps: bool) -> TraceError:
    what = "too few steps for a steady state" if any_steps else "no steps with GPU work"
    return TooFewSteps(f"{called} has {what}")


def builder(strategy: str | None, gpu: str, notes: dict[str, str]) -> TraceBuilder:
    """An empty trace marked as simulated, with its GPU described."""
    trace = TraceBuilder(producer="sim", origin="simulated", strategy=strategy)
    trace.device(0, name=f"{gpu} (simulated)", uuid="00000000-0000-0000-0000-5173c0de0000")
    for name, value in notes.items():
        trace.metadata(name, value)
    return trace


def steady_of(
    log: Log, patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,), place: Place = plain_place
) -> Steady:
    """The steady state of a log's steps. Raises TraceError where it has none."""
    return looked_of(log, patterns, place).steady


def looked_of(
    log: Log, patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,), place: Place = plain_place
) -> Looked:
    """A log's steps, by `harness gaps`' own definitions.

    Raises TraceError where they have no steady state.
    """
    called = "the simulation"  # the trace that is analysed is gone before anyone reads its name
    if not log.operations:
        raise _unsteady(called, False)
    trace = builder(None, "GPU", {})
    fill(trace, log, place)
    with tempfile.TemporaryDirectory(prefix="harness-sim-") as folder:
        path = Path(folder) / "simulated.sqlite"
        trace.write(path)
        report = analyze(path, Question(patterns=patterns))
        return look(report, called=called)
