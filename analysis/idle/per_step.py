"""One number a step, for drawings and exports: its period, its idle time by cause, its gaps."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool
from ..model.intervals import Int64, covered_before
from ..model.trace import Trace
from .attribute import Attribution, attribute
from .gaps import DeviceGaps, GapKind, gap_kinds
from .launched import Launched, launched_on
from .steady import SteadyPeriods, ascending, steady_periods
from .steps import StepSeries


class StepFigures(Struct, frozen=True):
    """Per step of one series on one device, in host order. Arrays have shape (steps,), ns."""

    number: Int64
    period: Int64
    """From the moment the device fell quiet before the step's first operation to the same moment
    of the next step that has one, and as `SteadyPeriods` has it for the steps in steady state; -1
    for the last step, and for steps without GPU work; 0 for a step whose work began after that of
    a later one."""
    idle: Int64
    """Idle time that belongs to the step, as in `StepTable.idle`, without what dead steps before a
    step in steady state took."""
    by_cause: Int64
    """Shape (causes, steps); sums to `idle`."""
    longest: Int64
    """Index of the longest gap that belongs to the step, -1 for none."""
    steady: Bool
    """The steady state counts it: averages are taken over these."""


def step_figures(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, series: StepSeries
) -> StepFigures:
    """Figures of every step. The periods in steady state have the mean `Steady.period_ns`.
    O(operations + gaps)."""
    n = len(series)
    kind, step = gap_kinds(gaps, series)
    mine = np.flatnonzero((kind <= GapKind.INTRA) & (step >= 0))
    owner, length = step[mine], gaps.length[mine]
    longest = np.full(n, -1, np.int64)
    # Ascending by length: the last one written is the longest; ties keep the earliest.
    order = np.lexsort((-mine, length))
    longest[owner[order]] = mine[order]
    launched, periods = _steady(trace, gaps, series)
    _, _, attribution = _cut(trace, gaps, attribution, periods)
    by_cause = np.zeros((len(attribution.causes), n), np.int64)
    for k, row in enumerate(attribution.time):
        by_cause[k] = np.bincount(owner, weights=row[mine], minlength=n)
    alive = np.flatnonzero(launched.count > 0)
    period = np.full(n, -1, np.int64)
    if len(alive) > 1:
        period[alive[:-1]] = np.diff(ascending(launched.quiet[alive]))
    steady = np.zeros(n, np.bool_)
    if not periods.own_edges:
        period[periods.step] = periods.length
        steady[periods.step] = True
    return StepFigures(series.number, period, by_cause.sum(axis=0), by_cause, longest, steady)


class Periods(Struct, frozen=True):
    """The steady state of one series on one device, period by period. All idle time of a period
    counts, that of operations outside every step too: period == busy + sum of by_cause, checked,
    and the means are those of `Steady`. Times in ns.
    """

    steady: SteadyPeriods
    busy: Int64
    """Shape (n,)."""
    by_cause: Int64
    """Idle time, shape (causes, n)."""

    @property
    def step(self) -> Int64:
        """Index of each period's step in the series, shape (n,)."""
        return self.steady.step

    @property
    def period(self) -> Int64:
        """Shape (n,)."""
        return self.steady.length

    @property
    def idle(self) -> Int64:
        """Shape (n,)."""
        return self.period - self.busy


def periods_of(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, series: StepSeries
) -> Periods:
    """The periods in steady state, or between the own edges of one or two steps."""
    _, steady = _steady(trace, gaps, series)
    n = len(steady)
    covered = covered_before(gaps.busy, np.concatenate((steady.start, steady.end)))
    busy = covered[n:] - covered[:n]
    rows, gaps, attribution = _cut(trace, gaps, attribution, steady)
    # No gap lies across an edge; of periods without a length, which share one, the last has it.
    at = np.searchsorted(steady.start, gaps.start[rows], side="right") - 1
    by_cause = np.zeros((len(attribution.causes), n), np.int64)
    for k, row in enumerate(attribution.time):
        np.add.at(by_cause[k], at, row[rows])
    found = Periods(steady, busy, by_cause)
    assert np.array_equal(busy + by_cause.sum(axis=0), found.period)
    return found


def _steady(trace: Trace, gaps: DeviceGaps, series: StepSeries) -> tuple[Launched, SteadyPeriods]:
    launched = launched_on(trace, gaps, series)
    mine = series.step_of[series.step_of >= 0]
    dead = np.bincount(mine, minlength=len(series)) == 0
    window = gaps.window_start, gaps.window_end
    return launched, steady_periods(launched, series, dead, *window)


def _cut(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, periods: SteadyPeriods
) -> tuple[Int64, DeviceGaps, Attribution]:
    """(rows of the gaps in steady state, all gaps and their causes without dead steps' time)."""
    rows, cut = periods.cut(gaps)
    if cut is gaps:
        return rows, gaps, attribution
    shorter = np.flatnonzero(cut.start > gaps.start)
    time = attribution.time.copy()
    time[:, shorter] = attribute(trace, cut.only(shorter)).time
    return rows, cut, replace(attribution, time=time)
