"""The steady state of a series on one device: which steps are in it, and each one's period.

Left out, from time and count alike: the first and the last step, dead steps, and the steps around
a hole in the numbers, whose periods hold what no range tells apart; of an inference engine's decode
steps those before a prefill too. A prefill stands alone: its period ends with its own work.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool
from ..model.intervals import EMPTY, Int64, Intervals, union
from .gaps import DeviceGaps
from .launched import Launched
from .numbers import missing_after
from .steps import StepSeries

AGREEMENT = 0.05
"""By how much the periods of GPU and host may differ before the device's quiet is doubted."""
FAR_LONGER = 2
"""Times the longest gap before other steps from which one behind a hole is not the loop's."""
AHEAD = 2
"""Steps that may begin in one period: where more do, a stream is only just running ahead."""


class SteadyPeriods(Struct, frozen=True, eq=False, dict=True):
    """The steps in steady state. Arrays have shape (n,), ascending; times in ns."""

    step: Int64
    """Index in the series."""
    start: Int64
    """When the device fell quiet before the step's first operation, and after dead steps."""
    end: Int64
    """When it fell quiet before the next step's first operation."""
    left_out: Int64
    """Idle time before `start` that dead steps took, and no step of the steady state."""
    host_start: Int64
    """When the step's range began."""
    host_end: Int64
    """When the next range of the series began; of a step that stands alone, when its own ended."""
    by_ends: bool
    """Streams run ahead of each other: periods run from the end of one step's last operation to
    that of the next."""
    own_edges: bool
    """There are one or two steps, and no steady state: the first period begins with the first
    operation of its step, and the last one ends with the last operation of its step."""

    def __len__(self) -> int:
        return len(self.step)

    @property
    def length(self) -> Int64:
        return self.end - self.start

    @cached_property
    def runs(self) -> Intervals:
        """The stretches that the periods cover."""
        return union(self.start, self.end)

    def cut(self, gaps: DeviceGaps) -> tuple[Int64, DeviceGaps]:
        """(rows of the gaps inside the steady state, all gaps with those less dead steps' time).

        Gaps at the edges of the window are outside.
        """
        runs = self.runs
        if len(runs) == 0:
            return np.empty(0, np.int64), gaps
        at = np.searchsorted(runs.start, gaps.end, side="left") - 1
        inside = (at >= 0) & (gaps.end <= runs.end[at]) & ~gaps.boundary
        rows = np.flatnonzero(inside)
        begin = runs.start[at[rows]]
        late = begin > gaps.start[rows]
        if not late.any():
            return rows, gaps
        start = gaps.start.copy()
        start[rows[late]] = begin[late]
        return rows, replace(gaps, start=start)


def steady_periods(
    launched: Launched, series: StepSeries, dead: Bool, lo: int, hi: int
) -> SteadyPeriods:
    """Of the steps of `series`, which launched that on one device in the window `[lo, hi)`, ns.

    `dead`: steps that launched nothing on any device, shape (steps,). Of one or two steps with work
    on this one, the periods between their own edges.
    """
    alive = np.flatnonzero(launched.count > 0)
    first = launched.first
    if 0 < len(alive) < 3:
        return _between_own_edges(launched, series, alive, lo, hi)
    if len(alive) == 0 or not 0 < first[alive[1]] < first[alive[-1]]:
        return _none()
    quiet = ascending(launched.quiet[alive])
    missing = np.where(series.alone, 0, series.missing)
    holes, lost = _between(alive, missing, _host_spans(series, dead))
    inner = np.arange(1, len(alive) - 1)
    # What a hole holds is in the period before it: work of no step; or, in a pause of the
    # recording, nothing but the wait for the step after it.
    paused = quiet[1:] <= launched.gpu_end[alive[:-1]]
    kept = inner[(holes[inner] == 0) & ~((holes[inner - 1] > 0) & paused[inner - 1])]
    gap = np.maximum(launched.gpu_start[alive] - quiet, 0)
    dropped = np.minimum(lost, np.concatenate(([0], gap[1:])))
    # Work in a hole does not tell that it fills it: what follows may be a pause all the same.
    behind, waited = holes[kept - 1] > 0, (gap - dropped)[kept]
    if not behind.all():
        kept = kept[~behind | (waited <= FAR_LONGER * waited[~behind].max())]
    ends = _own_ends(launched, series, alive, quiet[1:])
    found = _periods(series, alive, kept, quiet + dropped, ends, dropped, lo, hi)
    overlap = np.maximum(launched.gpu_end[alive[:-1]] - launched.gpu_start[alive[1:]], 0).sum()
    ends = np.maximum.accumulate(launched.gpu_end[alive])
    if overlap == 0 or (_agree(found) and not _falls_behind(found, ends[kept - 1], ends[kept])):
        return found
    kept = inner[(holes[inner - 1] == 0) & (lost[inner] == 0)]
    settled = kept[_begun_within(launched.gpu_start[alive], ends)[kept] <= AHEAD]
    before = np.concatenate((ends[:1], ends[:-1]))
    none = np.zeros(len(alive), np.int64)
    kept = settled if len(settled) else kept
    return _periods(series, alive, kept, before, ends, none, lo, hi, by_ends=True)


def _own_ends(launched: Launched, series: StepSeries, alive: Int64, ends: Int64) -> Int64:
    """The same ends of all periods but the last; those of steps that stand alone are the ends of
    their own work."""
    some = alive[: len(ends)]
    return np.where(series.alone[some], np.minimum(launched.gpu_end[some], ends), ends)


def _begun_within(begin: Int64, ends: Int64) -> Int64:
    """How many steps begin between the end of the step before and that of each; shape (n,)."""
    at = np.searchsorted(ends, begin, side="right")
    return np.bincount(at, minlength=len(ends))[: len(ends)]


def pauses(launched: Launched, series: StepSeries) -> Intervals:
    """Where numbers of steps are missing and nothing ran on the device: gaps of the recording."""
    alive = np.flatnonzero(launched.count > 0)
    if len(alive) < 2:
        return EMPTY
    holes = np.add.reduceat(missing_after(series.number), alive)[:-1]
    quiet, start = launched.quiet[alive[1:]], launched.gpu_start[alive[1:]]
    found = (holes > 0) & (quiet <= launched.gpu_end[alive[:-1]]) & (start > quiet)
    return union(quiet[found], start[found])


def ascending(quiet: Int64) -> Int64:
    """Moments that ascend: where asynchronous steps begin in another order than they were launched,
    those in between give way, the second and the last, which bound the steady state, do not."""
    quiet = quiet.copy()
    if len(quiet) > 1:
        quiet[1:] = np.minimum(np.maximum.accumulate(quiet[1:]), quiet[-1])
        quiet[0] = min(quiet[0], quiet[1])
    return quiet


def _none() -> SteadyPeriods:
    none = np.empty(0, np.int64)
    return SteadyPeriods(none, none, none, none, none, none, by_ends=False, own_edges=False)


def _host_spans(series: StepSeries, dead: Bool) -> Int64:
    """Time on the host that each dead step took, up to the next range; 0 for the others."""
    span = np.maximum(np.diff(series.start, append=series.start[-1:]), 0)
    return np.where(dead, span, 0)


def _between(alive: Int64, missing: Int64, spans: Int64) -> tuple[Int64, Int64]:
    """For each step with work: steps missing between it and the next one with work, and the time
    of the dead steps between the one before and it."""
    holes = np.add.reduceat(missing, alive)
    holes[-1] = 0
    before = np.concatenate(([0], np.cumsum(spans)))[alive]
    return holes, np.diff(before, prepend=before[0])


def _periods(
    series: StepSeries,
    alive: Int64,
    kept: Int64,
    start: Int64,
    end: Int64,
    left_out: Int64,
    lo: int,
    hi: int,
    *,
    by_ends: bool = False,
) -> SteadyPeriods:
    step = alive[kept]
    following = series.start[np.minimum(step + 1, len(series) - 1)]
    first = np.clip(start[kept], lo, hi)
    return SteadyPeriods(
        step=step,
        start=first,
        end=np.maximum(np.clip(end[kept], lo, hi), first),
        left_out=left_out[kept],
        host_start=series.start[step],
        host_end=np.where(series.alone[step], series.end[step], following),
        by_ends=by_ends,
        own_edges=False,
    )


def _between_own_edges(
    launched: Launched, series: StepSeries, alive: Int64, lo: int, hi: int
) -> SteadyPeriods:
    begin, last = int(launched.gpu_start[alive].min()), int(launched.gpu_end[alive].max())
    if begin < lo or last > hi:
        return _none()  # the window cuts a step
    start = np.concatenate(([begin], launched.quiet[alive[1:]]))
    start = np.maximum.accumulate(start)
    end = np.append(_own_ends(launched, series, alive, start[1:]), last)
    host_end = np.append(series.start[alive[1:]], series.end[alive[-1:]])
    host_end = np.where(series.alone[alive], series.end[alive], host_end)
    return SteadyPeriods(
        step=alive,
        start=start,
        end=np.maximum(end, start),
        left_out=np.zeros(len(alive), np.int64),
        host_start=series.start[alive],
        host_end=host_end,
        by_ends=False,
        own_edges=True,
    )


def _falls_behind(found: SteadyPeriods, begin: Int64, end: Int64) -> bool:
    """Whether the last work of these steps, which ends with `begin` before each and with `end`,
    comes later and later, by a step or more in all: what begins first in a step, on a stream of its
    own, keeps the host's time and not the device's."""
    gpu, by_ends = int(found.length.sum()), int((end - begin).sum())
    behind = by_ends - gpu
    return behind > AGREEMENT * gpu and behind * len(found) > gpu


def _agree(found: SteadyPeriods) -> bool:
    """Whether the GPU took as long for these steps as the host did."""
    gpu, host = int(found.length.sum()), int((found.host_end - found.host_start).sum())
    return abs(gpu - host) <= AGREEMENT * max(gpu, host)
