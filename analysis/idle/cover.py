"""Busy and idle time of intervals that arrive sorted by start, a stretch at a time."""

from __future__ import annotations

import numpy as np

from ..model.intervals import Int64


class Cover:
    """The union of all intervals added so far, as its measures. Cost is O(n) for n intervals."""

    def __init__(self) -> None:
        self.count = 0
        self.lo = self.reach = 0
        self.idle = self.gaps = 0

    def add(self, start: Int64, end: Int64) -> None:
        """Non-empty intervals, none of which starts before one that was added earlier."""
        if len(start) == 0:
            return
        if self.count == 0:
            self.lo = self.reach = int(start[0])
        reach = np.maximum(np.maximum.accumulate(end), self.reach)
        before = np.concatenate(([self.reach], reach[:-1]))
        gap = np.maximum(start - before, 0)
        self.idle += int(gap.sum())
        self.gaps += int(np.count_nonzero(gap))
        self.count += len(start)
        self.reach = int(reach[-1])

    @property
    def extent(self) -> int:
        return self.reach - self.lo

    @property
    def busy(self) -> int:
        return self.extent - self.idle
