"""One number a step, for drawings and exports: its period, its idle time by cause, its gaps."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool
from ..model.intervals import Int64, covered_before
from ..model.trace import Trace
from .attribute import Attribution
from .gaps import DeviceGaps, GapKind, gap_kinds
from .steps import StepSeries


class StepFigures(Struct, frozen=True):
    """Per step of one series on one device, in host order. Arrays have shape (steps,), ns."""

    number: Int64
    period: Int64
    """From the moment the device fell quiet before the step's first operation to the same moment
    of the next step that has one; -1 for the last step, and for steps without GPU work; 0 for a
    step whose work began after that of a later one."""
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


class Periods(Struct, frozen=True):
    """The steady state of one series on one device, cut where the device fell quiet before each
    step. All idle time of a period counts, that of operations outside every step too: period ==
    busy + sum of by_cause, checked, and the means are those of `Steady`. Times in ns.
    """

    step: Int64
    """Index of each period's step in the series, shape (n,)."""
    edge: Int64
    """Where the periods begin, and the last one ends; shape (n + 1,)."""
    busy: Int64
    """Shape (n,)."""
    by_cause: Int64
    """Idle time, shape (causes, n)."""

    @property
    def period(self) -> Int64:
        """Shape (n,)."""
        return np.diff(self.edge)

    @property
    def idle(self) -> Int64:
        """Shape (n,)."""
        return self.period - self.busy


def steady_periods(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, series: StepSeries
) -> Periods:
    """The periods of the interior steps; none where fewer than three steps have GPU work."""
    alive, quiet = quiet_moments(trace, gaps, series)
    edge = np.clip(quiet[1:], gaps.window_start, gaps.window_end)
    n = max(len(edge) - 1, 0)
    busy = np.diff(covered_before(gaps.busy, edge))
    at = np.searchsorted(edge, gaps.start, side="right") - 1  # no gap lies across an edge
    inside = np.flatnonzero((at >= 0) & (at < n))
    by_cause = np.zeros((len(attribution.causes), n), np.int64)
    for k, row in enumerate(attribution.time):
        np.add.at(by_cause[k], at[inside], row[inside])
    found = Periods(alive[1:-1], edge, busy, by_cause)
    assert np.array_equal(busy + by_cause.sum(axis=0), found.period)
    return found


def quiet_moments(trace: Trace, gaps: DeviceGaps, series: StepSeries) -> tuple[Int64, Int64]:
    """(steps with GPU work, when the device fell quiet before each one's first operation).

    The moments ascend: where asynchronous steps begin in another order than they were launched,
    those in between give way, the second and the last, which bound the steady state, do not.
    """
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
    quiet: Int64 = np.minimum(earlier, start[at])
    if len(quiet) > 1:
        quiet[1:] = np.minimum(np.maximum.accumulate(quiet[1:]), quiet[-1])
        quiet[0] = min(quiet[0], quiet[1])
    return alive, quiet
