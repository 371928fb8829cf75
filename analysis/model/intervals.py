"""Interval algebra on sorted int64 arrays: half-open `[start, end)`, nanoseconds, pure numpy.

Every operation says what it expects of its input and what it promises. Costs are for n intervals;
input that is already sorted costs O(n), anything else O(n log n).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Int64 = NDArray[np.int64]


class Intervals(Struct, frozen=True, eq=False, dict=True):
    """Sorted, disjoint, non-touching, non-empty half-open intervals: the normal form.

    `start` and `end` have shape (n,) and dtype int64. Build with `union`; the operations of this
    module return this form and rely on it.

    >>> union([5, 0, 3], [9, 2, 6])
    Intervals([0, 2) [3, 9))
    """

    start: Int64
    end: Int64

    def __len__(self) -> int:
        return len(self.start)

    def __repr__(self) -> str:
        shown = " ".join(f"[{a}, {b})" for a, b in zip(self.start[:8], self.end[:8], strict=True))
        more = " ..." if len(self) > 8 else ""
        return f"Intervals({shown}{more})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Intervals):
            return NotImplemented
        return np.array_equal(self.start, other.start) and np.array_equal(self.end, other.end)

    __hash__ = None  # type: ignore[assignment]

    @property
    def total(self) -> int:
        """Summed length, ns."""
        return int((self.end - self.start).sum())

    @cached_property
    def before(self) -> Int64:
        """Summed length of the intervals before each, and of all at the end; shape (n + 1,)."""
        return np.concatenate(([0], np.cumsum(self.end - self.start)))


EMPTY = Intervals(np.empty(0, np.int64), np.empty(0, np.int64))


def _int64(values: object) -> Int64:
    return np.asarray(values, dtype=np.int64)


def union(start: object, end: object) -> Intervals:
    """Merge any intervals, overlapping, touching, unsorted or empty, into the normal form.

    Empty and reversed input (`end <= start`) covers nothing and is dropped. O(n log n).

    >>> union([0, 2, 8, 7], [2, 4, 9, 7])
    Intervals([0, 4) [8, 9))
    """
    first, last = _int64(start), _int64(end)
    keep = last > first
    if not keep.all():
        first, last = first[keep], last[keep]
    if len(first) == 0:
        return EMPTY
    if (first[1:] < first[:-1]).any():
        order = np.argsort(first, kind="stable")
        first, last = first[order], last[order]
    reach = np.maximum.accumulate(last)
    # A new interval opens where a start lies strictly beyond everything seen so far.
    opens = np.empty(len(first), np.bool_)
    opens[0] = True
    np.greater(first[1:], reach[:-1], out=opens[1:])
    heads = np.flatnonzero(opens)
    tails = np.append(heads[1:], len(first)) - 1
    return Intervals(first[heads], reach[tails])


def clip(a: Intervals, lo: int, hi: int) -> Intervals:
    """The part of `a` inside `[lo, hi)`. O(n).

    >>> clip(union([0, 6], [4, 9]), 2, 7)
    Intervals([2, 4) [6, 7))
    """
    start, end = np.maximum(a.start, lo), np.minimum(a.end, hi)
    keep = end > start
    return Intervals(start[keep], end[keep])


def complement(a: Intervals, lo: int, hi: int) -> Intervals:
    """What `a` leaves free in `[lo, hi)`: `clip(a).total + complement(a).total == hi - lo`. O(n).

    >>> complement(union([2], [4]), 0, 10)
    Intervals([0, 2) [4, 10))
    """
    if hi <= lo:
        return EMPTY
    inside = clip(a, lo, hi)
    start = np.concatenate(([lo], inside.end))
    end = np.concatenate((inside.start, [hi]))
    keep = end > start
    return Intervals(start[keep], end[keep])


def pieces(a: Intervals, b: Intervals) -> tuple[Int64, Int64, Int64, Int64]:
    """Overlaps of two disjoint families, touching allowed: (start, end, index in a, index in b).

    Neither family needs to be merged: labelled segments that touch keep their own index. Sorted by
    start. O(n + m + overlaps).

    >>> [x.tolist() for x in pieces(union([0, 5], [3, 9]), union([2], [7]))]
    [[2, 5], [3, 7], [0, 1], [0, 0]]
    """
    # For each a, the b's that overlap it are consecutive: first with end > a.start, up to the
    # last with start < a.end.
    first = np.searchsorted(b.end, a.start, side="right")
    stop = np.searchsorted(b.start, a.end, side="left")
    count = np.maximum(stop - first, 0)
    index_a = np.repeat(np.arange(len(a)), count)
    offset = np.arange(len(index_a)) - np.repeat(np.cumsum(count) - count, count)
    index_b = np.repeat(first, count) + offset
    start = np.maximum(a.start[index_a], b.start[index_b])
    end = np.minimum(a.end[index_a], b.end[index_b])
    return start, end, index_a, index_b


def intersect(a: Intervals, b: Intervals) -> Intervals:
    """What both cover. O(n + m).

    >>> intersect(union([0, 5], [3, 9]), union([2], [7]))
    Intervals([2, 3) [5, 7))
    """
    start, end, _, _ = pieces(a, b)
    return union(start, end)


def without(a: Intervals, b: Intervals) -> Intervals:
    """What `a` covers and `b` does not. O(n + m).

    >>> without(union([0, 5], [3, 9]), union([2], [7]))
    Intervals([0, 2) [7, 9))
    """
    if len(a) == 0 or len(b) == 0:
        return a
    return intersect(a, complement(b, int(a.start[0]), int(a.end[-1])))


def covered_before(a: Intervals, t: object) -> Int64:
    """Length that `a` covers before each instant `t`, ns; differences give any window's cover.

    Shape of the result is that of `t`. O(m log n), after O(n) once for `a`.

    >>> covered_before(union([0, 10], [4, 12]), [2, 4, 11]).tolist()
    [2, 4, 5]
    """
    at = _int64(t)
    if len(a) == 0:
        return np.zeros(at.shape, np.int64)
    k = np.searchsorted(a.start, at, side="right")
    last = np.maximum(k - 1, 0)
    partial = np.clip(at - a.start[last], 0, a.end[last] - a.start[last])
    return np.where(k > 0, a.before[last] + partial, 0)
