"""Figures of one step series on one device that grow with every part of a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from msgspec.structs import replace

from ..model.arrays import Bool, Code8
from ..model.intervals import EMPTY, Int64, union
from .attribute import own_ns
from .causes import causes
from .device_totals import ByCause, DeviceTotals
from .figures import SeriesSummary, Steady, StepTable
from .gaps import DeviceGaps, GapKind, sum_by_kind
from .host_time import waited
from .launched import Launched
from .parts import Parts
from .split import Split
from .steady import SteadyPeriods, pauses, steady_periods
from .steps import StepSeries, is_inferred

Again = Callable[[DeviceGaps], Split]
"""Splits gaps by cause: some of those of a part, with another start."""


class _SteadyTotals:
    """Inside the steady state, so far."""

    def __init__(self, periods: SteadyPeriods) -> None:
        self.periods = periods
        self.by_kind = np.zeros(len(GapKind), np.int64)
        self.by_cause = ByCause()
        self.ahead = 0
        """Idle time that is the device's own, the host being ahead of it, ns."""

    def add(self, gaps: DeviceGaps, split: Split, kind: Code8, again: Again) -> None:
        some, cut = self.periods.cut(gaps)
        if len(some) == 0:
            return
        if cut is not gaps:
            split = _split_again(gaps, cut, split, again)
        self.by_kind += sum_by_kind(kind[some], cut.length[some])
        self.by_cause.add(split, cut.length, some)
        self.ahead += int(own_ns(split.time)[some[split.ahead[some]]].sum())


def _split_again(gaps: DeviceGaps, cut: DeviceGaps, split: Split, again: Again) -> Split:
    """The split of gaps of which some are shorter now. What drained the queue stays."""
    rows = np.flatnonzero(cut.start > gaps.start)
    shorter = again(cut.only(rows))
    time = split.time.copy()
    time[:, rows] = shorter.time
    return replace(split, time=time, used=split.used | shorter.used)


class SeriesTotals:
    """One step series on one device, so far; `launched` is what its steps did there in the window,
    whose edges are `lo` and `hi`, ns; `dead`: its steps that launched nothing on any device."""

    def __init__(
        self, series: StepSeries, launched: Launched, dead: Bool, lo: int, hi: int
    ) -> None:
        self.launched, self._dead = launched, dead
        self.pauses = EMPTY if is_inferred(series.pattern) else pauses(launched, series)
        n = len(launched.count)
        self._by_kind = np.zeros(len(GapKind), np.int64)
        self._of_step = np.zeros((2, n), np.int64)
        """Idle time of each step, inter and intra."""
        self._causes = np.zeros((len(causes()), n), np.int64)
        """The same by cause."""
        self._alive = np.flatnonzero(launched.count > 0)
        self._steady = _SteadyTotals(steady_periods(launched, series, dead, lo, hi))
        # Idle time before the edges of each step's projection, for its busy time.
        alive = self._alive
        instants = np.concatenate((launched.gpu_start[alive], launched.gpu_end[alive]))
        self._order = np.argsort(instants, kind="stable")
        self._instants = instants[self._order]
        self._idle = np.zeros(len(instants), np.int64)
        self._done = 0
        self._before = 0

    def add(
        self, gaps: DeviceGaps, split: Split, kind: Code8, step: Int64, seen: int, again: Again
    ) -> None:
        """The gaps that a part closed; `seen`: no later gap ends before this time, ns; `again`
        splits some of them by cause anew."""
        length = gaps.length
        self._by_kind += sum_by_kind(kind, length)
        owned = np.flatnonzero(step >= 0)
        place = kind[owned].astype(np.int64) * self._of_step.shape[1] + step[owned]
        np.add.at(self._of_step.reshape(-1), place, length[owned])
        for k in split.used:
            some = owned[split.time[k, owned] > 0]
            np.add.at(self._causes[k], step[some], split.time[k, some])
        self._steady.add(gaps, split, kind, again)
        # At `seen` itself one may: where operations of two devices start together.
        ready = int(np.searchsorted(self._instants, seen, side="left"))
        passed = np.concatenate(([0], np.cumsum(length)))
        asked = self._instants[self._done : ready]
        here = np.searchsorted(gaps.end, asked, side="right")
        self._idle[self._done : ready] = self._before + passed[here]
        self._done = max(ready, self._done)
        self._before += int(passed[-1])

    def summary(
        self, parts: Parts, series: StepSeries, device: DeviceTotals, drains: Iterable[str]
    ) -> SeriesSummary:
        """`series`: the one whose totals these are; `drains`: names of what drained the queue."""
        launched = self.launched
        none = launched.count == 0
        inter, intra = self._of_step
        periods = self._steady.periods
        steady, left_out = np.zeros(len(none), np.bool_), np.zeros(len(none), np.int64)
        steady[periods.step], left_out[periods.step] = not periods.own_edges, periods.left_out
        table = StepTable(
            number=series.number,
            start=series.start,
            host=series.end - series.start,
            operations=launched.count,
            gpu_start=np.where(none, 0, launched.gpu_start),
            gpu_end=np.where(none, 0, launched.gpu_end),
            busy=self._busy(device.window_start, device.window_end),
            inter=inter,
            intra=intra,
            steady=steady,
            left_out=left_out,
            by_cause=self._causes,
        )
        figures = self._steady_summary(parts, series, drains)
        return SeriesSummary.of(
            series,
            device.device.index,
            table,
            dead=self._dead,
            by_kind=self._by_kind.tolist(),
            steady=None if periods.own_edges else figures,
            own_edges=figures if periods.own_edges else None,
            threads=parts.source.threads,
        )

    def _busy(self, lo: int, hi: int) -> Int64:
        """Device busy time between the edges of each step's projection; shape (steps,)."""
        assert self._done == len(self._instants)
        # The window may cut a projection; outside of it nothing counts as busy.
        covered = np.clip(self._instants, lo, hi) - lo - self._idle
        back = np.empty_like(covered)
        back[self._order] = covered
        result = np.zeros(len(self.launched.count), np.int64)
        half = len(self._alive)
        result[self._alive] = back[half:] - back[:half]
        return result

    def _steady_summary(
        self, parts: Parts, series: StepSeries, drains: Iterable[str]
    ) -> Steady | None:
        total, periods = self._steady, self._steady.periods
        if len(periods) == 0:
            return None
        threads = self.launched.threads or tuple(series.threads)
        host = union(periods.host_start, periods.host_end)
        return Steady.of(
            periods,
            by_kind=total.by_kind.tolist(),
            ahead_ns=total.ahead,
            host_ns=host.total - waited(parts, threads, host),
            causes=total.by_cause.named(),
            drained_by=total.by_cause.drained(drains),
        )
