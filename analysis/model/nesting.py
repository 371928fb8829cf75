"""One host thread's time, cut into labelled stretches that do not overlap."""

from __future__ import annotations

from heapq import heappop, heappush

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from .intervals import Int64, Intervals

_DEEP = 64
"""Ranges open at once beyond which levels are no longer looked at one by one."""


class Timeline(Struct, frozen=True, eq=False):
    """Sorted, disjoint, labelled stretches; what lies between them has no label.

    `start`, `end`, `label`: shape (n,). `before`: shape (labels, n + 1), the time each label took
    in the stretches before the k-th.
    """

    start: Int64
    end: Int64
    label: NDArray[np.int8]
    before: Int64

    def spent(self, lo: Int64, hi: Int64) -> Int64:
        """Time with each label inside each `[lo, hi)`; shapes (m,), (m,) to (labels, m)."""
        return self._until(hi) - self._until(lo)

    def _until(self, t: Int64) -> Int64:
        if len(self.start) == 0:
            return np.zeros((len(self.before), len(t)), np.int64)
        k = np.searchsorted(self.start, t, side="right")
        last = np.maximum(k - 1, 0)
        # All time of the earlier stretches, less the part of the last one that lies beyond t.
        beyond = np.where(k > 0, np.maximum(self.end[last] - t, 0), 0)
        total = self.before[:, k]
        total[self.label[last], np.arange(len(t))] -= beyond
        return total


def build_timeline(
    start: Int64, end: Int64, label: NDArray[np.int8], labels: int, *, presorted: bool = False
) -> Timeline:
    """Flatten labelled intervals, any overlap allowed; the lowest label wins where they overlap.

    O(n) for rows that are sorted and disjoint (the usual: calls of one thread); only stretches that
    overlap others are swept.
    """
    keep = end > start
    if not keep.all():
        start, end, label = start[keep], end[keep], label[keep]
    if not presorted or (len(start) > 1 and (np.diff(start) < 0).any()):
        order = np.argsort(start, kind="stable")
        start, end, label = start[order], end[order], label[order]
    if len(start):
        start, end, label = _flatten(start, end, label, labels)
    length = end - start
    before = np.zeros((labels, len(start) + 1), np.int64)
    for k in np.flatnonzero(np.bincount(label, minlength=labels)).tolist():
        np.cumsum(np.where(label == k, length, 0), out=before[k, 1:])
    return Timeline(start, end, label, before)


def _flatten(
    start: Int64, end: Int64, label: NDArray[np.int8], labels: int
) -> tuple[Int64, Int64, NDArray[np.int8]]:
    reach = np.maximum.accumulate(end)
    clear = np.ones(len(start), np.bool_)
    clear[1:] &= start[1:] >= reach[:-1]
    clear[:-1] &= start[1:] >= end[:-1]
    if clear.all():
        return start, end, label
    swept = _sweep(start[~clear], end[~clear], label[~clear], labels)
    first = np.concatenate((start[clear], swept[0]))
    last = np.concatenate((end[clear], swept[1]))
    mark = np.concatenate((label[clear], swept[2]))
    order = np.argsort(first, kind="stable")
    return first[order], last[order], mark[order]


def _sweep(
    start: Int64, end: Int64, label: NDArray[np.int8], labels: int
) -> tuple[Int64, Int64, NDArray[np.int8]]:
    """Between any two neighbouring edges, the lowest label that is open there."""
    edge = np.concatenate((start, end))
    order = np.argsort(edge, kind="stable")
    edge = edge[order]
    owner = np.concatenate((label, label))[order]
    step = np.concatenate((np.ones(len(start), np.int64), -np.ones(len(end), np.int64)))[order]
    winner = np.full(len(edge), labels, np.int8)
    for k in reversed(range(labels)):
        open_count = np.cumsum(np.where(owner == k, step, 0))
        winner[open_count > 0] = k
    lo, hi, mark = edge[:-1], edge[1:], winner[:-1]
    keep = (hi > lo) & (mark < labels)
    return lo[keep], hi[keep], mark[keep]


def innermost(start: Int64, end: Int64) -> tuple[Intervals, Int64]:
    """Stretches of one thread by its innermost range: (disjoint stretches, index of the range).

    `start`, `end`: shape (n,), sorted by (start, -end). Innermost is, of the ranges open at an
    instant, the one that started last: of push/pop ranges, which nest, the deepest. O(n log n).
    """
    kept = np.flatnonzero(end > start)
    start, end = start[kept], end[kept]
    n = len(start)
    if n == 0:
        return Intervals(start, end), kept
    index = np.arange(n)
    # At one instant, ends come before starts; inner ranges end first, outer ranges start first.
    time = np.concatenate((end, start))
    order = np.lexsort((np.concatenate((-index, index)), np.repeat([0, 1], n), time))
    opens = order >= n
    owner = np.where(opens, order - n, order)
    depth = np.cumsum(np.where(opens, 1, -1))
    current = np.where(opens, owner, -1)
    if depth.max() > _DEEP:
        return _last_started(start, end, kept)
    for level in range(1, int(depth.max()) + 1):
        # What is innermost after a range closes is the last one opened a level further out.
        starts_here = np.flatnonzero(opens & (depth == level))
        ends_above = np.flatnonzero(~opens & (depth == level))
        if len(ends_above):
            at = np.searchsorted(starts_here, ends_above) - 1
            current[ends_above] = np.where(at >= 0, owner[starts_here[np.maximum(at, 0)]], -1)
    if (current[:-1] != owner[1:])[~opens[1:]].any():  # one closes that is not the innermost
        return _last_started(start, end, kept)
    edge = time[order]
    low, high, mark = edge[:-1], edge[1:], current[:-1]
    keep = (high > low) & (mark >= 0)
    low, high, mark = low[keep], high[keep], mark[keep]
    return Intervals(low, high), kept[mark]


def _last_started(start: Int64, end: Int64, kept: Int64) -> tuple[Intervals, Int64]:
    """`innermost` for ranges that overlap as they like: one step of Python for each edge."""
    low, high, mark = [], [], []
    running: list[int] = []  # a heap of negated indexes: the last started comes first
    now, opened = int(start[0]), 0
    starts, ends = start.tolist(), end.tolist()
    for edge in np.unique(np.concatenate((start, end))).tolist():
        while running and ends[-running[0]] <= now:
            heappop(running)
        if running and edge > now:
            # Until this edge nothing starts; but the last started may end, and others go on.
            low.append(now)
            high.append(edge)
            mark.append(-running[0])
        while opened < len(starts) and starts[opened] <= edge:
            heappush(running, -opened)
            opened += 1
        now = edge
    stretches = Intervals(np.array(low, np.int64), np.array(high, np.int64))
    return stretches, kept[np.array(mark, np.int64)]
