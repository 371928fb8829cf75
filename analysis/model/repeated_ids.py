"""Which of several calls with one id launched an operation: the last that began before it did."""

from __future__ import annotations

import numpy as np

from .arrays import Code
from .intervals import Int64


class NearestMatch:
    """Calls that share their id with others. Arrays have shape (n,), in any order.

    A call inside another one of its thread and id is the same call, seen by the driver.

    >>> calls = (np.array([4, 9]), np.array([7, 7]), np.array([0, 50]), np.array([5, 55]))
    >>> match = NearestMatch(*calls, np.zeros(2, np.int32))
    >>> match.choose(np.array([4, 4, 3]), np.array([7, 7, 8]), np.array([20, 60, 60])).tolist()
    [4, 9, 3]
    """

    def __init__(self, rows: Int64, ids: Int64, start: Int64, end: Int64, thread: Code) -> None:
        outer = _outermost(ids, start, end, thread)
        rows, ids, start = rows[outer], ids[outer], start[outer]
        self._ids, self._times = np.unique(ids), np.unique(start)
        order = np.lexsort((start, ids))
        self._rows = rows[order]
        self._code = np.searchsorted(self._ids, ids[order])
        self._keys = self._key(self._code, np.searchsorted(self._times, start[order]))

    def _key(self, code: Int64, time: Int64) -> Int64:
        """One number for (id, time), -1 for a time before all."""
        return code * (len(self._times) + 1) + time + 1

    def choose(self, found: Int64, ids: Int64, at: Int64) -> Int64:
        """For work with these ids that began at these times, the row of its call: `found` where
        the id is no repeated one, or none of its calls began before."""
        if len(self._ids) == 0 or len(ids) == 0:
            return found
        code = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        time = np.searchsorted(self._times, at, side="right") - 1
        place = np.searchsorted(self._keys, self._key(code, time), side="right") - 1
        known = (self._ids[code] == ids) & (place >= 0)
        known &= self._code[np.maximum(place, 0)] == code
        return np.where(known, self._rows[np.maximum(place, 0)], found)


def _outermost(ids: Int64, start: Int64, end: Int64, thread: Code) -> Int64:
    """Positions of the calls that lie in no other of their id and thread."""
    order = np.lexsort((-end, start, thread, ids))
    group = np.zeros(len(order), np.int64)
    last, this = order[:-1], order[1:]
    group[1:] = np.cumsum((ids[last] != ids[this]) | (thread[last] != thread[this]))
    # Ranks, so that the furthest end so far of each group is that of all rows so far.
    rank = np.unique(end, return_inverse=True)[1][order] + group * (len(order) + 1)
    reach = np.maximum.accumulate(rank)
    outer = np.ones(len(order), np.bool_)
    outer[1:] = rank[1:] > reach[:-1]
    return order[outer]
