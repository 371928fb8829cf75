"""One number a step, for drawings and exports: its period, its idle time by cause, its gaps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .arrays import Bool
from .attribute import Attribution
from .gaps import DeviceGaps, GapKind, gap_kinds
from .intervals import Int64
from .steps import StepSeries
from .trace import Trace


@dataclass(frozen=True)
class StepFigures:
    """Per step of one series on one device, in host order. Arrays have shape (steps,), ns."""

    number: Int64
    period: Int64
    """From the moment the device fell quiet before the step's first operation to the same moment
    of the next step that has one; -1 for the last step, and for steps without GPU work."""
    idle: Int64
    """Idle time that belongs to the step, as in `StepTable.idle`."""
    by_cause: Int64
    """Shape (causes, steps); sums to `idle`."""
    longest: Int64
    """Index of the longest gap that belongs to the step, -1 for none."""
    interior: Bool
    """Neither the first nor the last step with GPU work: the steps that averages are taken over."""


def step_figures(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, series: StepSeries
) -> StepFigures:
    """Figures of every step. The interior periods sum to the steady-state window, so that their
    mean is `Steady.period_ns`. O(operations + gaps)."""
    n = len(series)
    kind, step = gap_kinds(gaps, series)
    mine = np.flatnonzero((kind <= GapKind.INTRA) & (step >= 0))
    owner, length = step[mine], gaps.length[mine]
    by_cause = np.zeros((len(attribution.causes), n), np.int64)
    for k, row in enumerate(attribution.time):
        by_cause[k] = np.bincount(owner, weights=row[mine], minlength=n)
    longest = np.full(n, -1, np.int64)
    # Ascending by length: the last one written is the longest; ties keep the earliest.
    order = np.lexsort((-mine, length))
    longest[owner[order]] = mine[order]
    alive, quiet = quiet_moments(trace, gaps, series)
    period = np.full(n, -1, np.int64)
    if len(alive) > 1:
        period[alive[:-1]] = np.diff(quiet)
    interior = np.zeros(n, np.bool_)
    interior[alive[1:-1]] = True
    return StepFigures(series.number, period, by_cause.sum(axis=0), by_cause, longest, interior)


def quiet_moments(trace: Trace, gaps: DeviceGaps, series: StepSeries) -> tuple[Int64, Int64]:
    """(steps with GPU work, when the device fell quiet before each one's first operation)."""
    step_of = series.step_of[gaps.rows]
    positions = np.flatnonzero(step_of >= 0)
    if len(positions) == 0:
        return positions, positions
    first = np.full(len(series), len(step_of), np.int64)
    np.minimum.at(first, step_of[positions], positions)
    alive = np.flatnonzero(first < len(step_of))
    at = first[alive]
    start = trace.operations.start[gaps.rows]
    reach = np.maximum.accumulate(trace.operations.end[gaps.rows])
    earlier = np.where(at > 0, reach[np.maximum(at - 1, 0)], start[at])
    return alive, np.minimum(earlier, start[at])
