"""Figures of one step series on one device that grow with every part of a trace."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from ..model.arrays import Code8
from ..model.intervals import Int64
from ..model.schema import MAX_TIME
from .device_totals import ByCause, DeviceTotals
from .figures import SeriesSummary, Steady, StepTable
from .gaps import DeviceGaps, GapKind, sum_by_kind
from .host_time import waited
from .launched import Launched
from .parts import Parts
from .split import Split
from .steps import StepSeries


class _SteadyTotals:
    """Between the steady window's edges, so far."""

    def __init__(self, lo: int, hi: int) -> None:
        self.lo, self.hi = lo, hi
        self.by_kind = np.zeros(len(GapKind), np.int64)
        self.by_cause = ByCause()
        self.ahead = 0
        """Idle time of gaps before which the host had launched what came after them, ns."""

    def add(self, gaps: DeviceGaps, split: Split, kind: Code8) -> None:
        some = gaps.inside(self.lo, self.hi)
        if some.start < some.stop:
            self.by_kind += sum_by_kind(kind[some], gaps.length[some])
            self.by_cause.add(split, gaps.length, some)
            self.ahead += int(gaps.length[some][split.ahead[some]].sum())


class SeriesTotals:
    """One step series on one device, so far; `launched` is what its steps did there, `lo` where
    the window begins, ns, None where the operations decide."""

    def __init__(self, launched: Launched, lo: int | None) -> None:
        self.launched = launched
        n = len(launched.count)
        self._by_kind = np.zeros(len(GapKind), np.int64)
        self._of_step = np.zeros((2, n), np.int64)
        """Idle time of each step, inter and intra."""
        self._alive = np.flatnonzero(launched.count > 0)
        self._steady = self._steady_window(-MAX_TIME if lo is None else lo)
        # Idle time before the edges of each step's projection, for its busy time.
        alive = self._alive
        instants = np.concatenate((launched.gpu_start[alive], launched.gpu_end[alive]))
        self._order = np.argsort(instants, kind="stable")
        self._instants = instants[self._order]
        self._idle = np.zeros(len(instants), np.int64)
        self._done = 0
        self._before = 0

    def _steady_window(self, begin: int) -> _SteadyTotals | None:
        alive, first, quiet = self._alive, self.launched.first, self.launched.quiet
        if len(alive) < 3 or not 0 < first[alive[1]] < first[alive[-1]]:
            return None
        lo, hi = (max(begin, int(quiet[alive[k]])) for k in (1, -1))
        return _SteadyTotals(lo, hi)

    def add(self, gaps: DeviceGaps, split: Split, kind: Code8, step: Int64, seen: int) -> None:
        """The gaps that a part closed; `seen`: no later gap ends before this time, ns."""
        length = gaps.length
        self._by_kind += sum_by_kind(kind, length)
        owned = np.flatnonzero(step >= 0)
        place = kind[owned].astype(np.int64) * self._of_step.shape[1] + step[owned]
        np.add.at(self._of_step.reshape(-1), place, length[owned])
        if self._steady:
            self._steady.add(gaps, split, kind)
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
        )
        return SeriesSummary.of(
            series,
            device.device.index,
            table,
            by_kind=self._by_kind.tolist(),
            steady=self._steady_summary(parts, series, drains),
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
        total, alive = self._steady, self._alive
        if total is None:
            return None
        lo, hi = int(series.start[alive[1]]), int(series.start[alive[-1]])
        launcher = self.launched.thread
        thread = launcher if launcher >= 0 else series.thread_index
        return Steady.of(
            (total.lo, total.hi),
            len(alive) - 2,
            by_kind=total.by_kind.tolist(),
            ahead_ns=total.ahead,
            host_ns=hi - lo - waited(parts, thread, lo, hi),
            causes=total.by_cause.named(),
            drained_by=total.by_cause.drained(drains),
        )
