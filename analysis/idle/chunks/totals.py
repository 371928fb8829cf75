"""Figures that grow with every chunk: of a device, and of a step series on it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from ...model.arrays import Bool, Code8
from ...model.intervals import Int64
from ...model.trace import Device
from ..details import TopGap
from ..gaps import DeviceGaps, GapKind, sum_by_kind
from .causes import Split
from .cover import Cover
from .sample import Sample
from .steps import Launched


@dataclass
class DeviceTotals:
    """One device over the window, so far."""

    device: Device
    window_start: int
    window_end: int
    operations: int
    causes: Int64
    """Shape (causes,), ns."""
    touched: Int64
    """Shape (causes,): gaps that have time of each."""
    lengths: Sample
    drained: Counter[int] = field(default_factory=Counter)
    """By index into `Drains.names`."""
    host: Counter[str] = field(default_factory=Counter)
    handoffs: Counter[str] = field(default_factory=Counter)
    skewed: int = 0
    skew_ns: int = 0
    communication: Cover = field(default_factory=Cover)
    not_graphs: Cover = field(default_factory=Cover)
    kernels: Cover = field(default_factory=Cover)
    streams: dict[tuple[int, int], Cover] = field(default_factory=dict)
    over_1ms: tuple[int, int] = (0, 0)
    """(ns, gaps) of gaps longer than 1 ms."""
    top: list[TopGap] = field(default_factory=list)

    @property
    def idle(self) -> int:
        return int(self.causes.sum())

    @property
    def gaps(self) -> int:
        return self.lengths.count

    def add(self, gaps: DeviceGaps, split: Split, drains: Int64) -> None:
        """The gaps that a chunk closed; `drains`: labels of `split.drained_by`."""
        self.causes += split.time.sum(axis=1)
        self.touched += np.count_nonzero(split.time, axis=1)
        self.lengths.add(gaps.length)
        add_by_label(self.drained, drains, gaps.length)
        self.host.update(split.host)
        self.handoffs.update(split.handoffs)
        long = gaps.length > 1_000_000
        ns, count = self.over_1ms
        self.over_1ms = (
            ns + int(gaps.length[long].sum()),
            count + int(np.count_nonzero(long)),
        )


def add_by_label(total: Counter[int], labels: Int64, ns: Int64) -> None:
    """Sum times by label; those with label -1 are left out."""
    known = labels >= 0
    if not known.any():
        return
    sums = np.zeros(int(labels.max()) + 1, np.int64)
    np.add.at(sums, labels[known], ns[known])
    for label in np.unique(labels[known]).tolist():
        total[label] += int(sums[label])


@dataclass
class SteadyTotals:
    """Between the steady window's edges, so far."""

    lo: int
    hi: int
    causes: Int64
    by_kind: Int64 = field(default_factory=lambda: np.zeros(4, np.int64))
    drained: Counter[int] = field(default_factory=Counter)

    def add(self, gaps: DeviceGaps, split: Split, kind: Code8, drains: Int64) -> None:
        inside = (gaps.start >= self.lo) & (gaps.end <= self.hi) & ~gaps.boundary
        if not inside.any():
            return
        length = gaps.length[inside]
        self.by_kind += sum_by_kind(kind[inside], length)
        self.causes += split.time[:, inside].sum(axis=1)
        add_by_label(self.drained, drains[inside], length)


class SeriesTotals:
    """One step series on one device, so far; `launched` is what its steps did there, `begin` where
    the window does, ns."""

    def __init__(self, launched: Launched, causes: int, begin: int) -> None:
        self.launched = launched
        n = len(launched.count)
        self.kinds = np.zeros(4, np.int64)
        self.inter, self.intra = np.zeros(n, np.int64), np.zeros(n, np.int64)
        self.alive = np.flatnonzero(launched.count > 0)
        self.steady = self._steady(causes, begin)
        # Idle time before the edges of each step's projection, for its busy time.
        instants = np.concatenate((launched.gpu_start[self.alive], launched.gpu_end[self.alive]))
        self._order = np.argsort(instants, kind="stable")
        self._instants = instants[self._order]
        self._idle = np.zeros(len(instants), np.int64)
        self._done = 0
        self._before = 0

    def _steady(self, causes: int, begin: int) -> SteadyTotals | None:
        alive, first, quiet = self.alive, self.launched.first, self.launched.quiet
        if len(alive) < 3 or not 0 < first[alive[1]] < first[alive[-1]]:
            return None
        lo, hi = (max(begin, int(quiet[alive[k]])) for k in (1, -1))
        return SteadyTotals(lo, hi, np.zeros(causes, np.int64))

    def add(
        self, gaps: DeviceGaps, split: Split, kind: Code8, step: Int64, drains: Int64, seen: int
    ) -> None:
        """The gaps that a chunk closed; `seen`: no later gap ends before this time, ns."""
        length = gaps.length
        self.kinds += sum_by_kind(kind, length)
        for which, total in ((GapKind.INTER, self.inter), (GapKind.INTRA, self.intra)):
            mine = np.flatnonzero((kind == which) & (step >= 0))
            np.add.at(total, step[mine], length[mine])
        if self.steady:
            self.steady.add(gaps, split, kind, drains)
        # At `seen` itself one may: where operations of two devices start together.
        ready = int(np.searchsorted(self._instants, seen, side="left"))
        passed = np.concatenate(([0], np.cumsum(length)))
        asked = self._instants[self._done : ready]
        here = np.searchsorted(gaps.end, asked, side="right")
        self._idle[self._done : ready] = self._before + passed[here]
        self._done = max(ready, self._done)
        self._before += int(passed[-1])

    def busy(self, lo: int, hi: int) -> Int64:
        """Device busy time between the edges of each step's projection; shape (steps,)."""
        assert self._done == len(self._instants)
        # The window may cut a projection; outside of it nothing counts as busy.
        covered = np.clip(self._instants, lo, hi) - lo - self._idle
        back = np.empty_like(covered)
        back[self._order] = covered
        result = np.zeros(len(self.launched.count), np.int64)
        half = len(self.alive)
        result[self.alive] = back[half:] - back[:half]
        return result


def only(launched: Launched, wanted: Bool) -> Launched:
    """The same for some of the steps."""
    return Launched(*(column[wanted] for column in vars(launched).values()))
