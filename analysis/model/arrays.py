"""Array helpers shared by the readers: factorise, join, stable order. Pure numpy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .intervals import Int64

Bool = NDArray[np.bool_]
Code = NDArray[np.int32]
Code8 = NDArray[np.int8]
Column = NDArray[np.integer]
"""Of any width, as they lie on disk."""

_FEW = 32
"""Distinct values that are looked for one by one before sorting: processes, threads, devices."""


def factorize(values: Int64) -> tuple[Code, Int64]:
    """Replace each value by its rank among the distinct ones: (codes (n,), distinct values (k,)).

    O(n + range) for a dense range, O(n k) for k <= 32 distinct values, else O(n log n).

    >>> [x.tolist() for x in factorize(np.array([70, 5, 70]))]
    [[1, 0, 1], [5, 70]]
    """
    n = len(values)
    if n == 0:
        return np.empty(0, np.int32), np.empty(0, np.int64)
    low, high = int(values.min()), int(values.max())
    if low == high:
        return np.zeros(n, np.int32), np.array([low], np.int64)
    if high - low < max(4 * n, 1 << 16):
        shifted = values - low
        seen = np.zeros(high - low + 1, np.bool_)
        seen[shifted] = True
        found = np.flatnonzero(seen)
        table = np.empty(len(seen), np.int32)
        table[found] = np.arange(len(found), dtype=np.int32)
        return table[shifted], found + low
    distinct = _few_distinct(values)
    if distinct is None:
        uniques, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int32), uniques
    codes = np.zeros(n, np.int32)
    for rank, value in enumerate(distinct[1:].tolist(), start=1):
        codes[values == value] = rank
    return codes.astype(np.int32), distinct


def _few_distinct(values: Int64) -> Int64 | None:
    """The distinct values, sorted, or None where there are more than a few."""
    found: list[int] = []
    rest = values
    while len(rest):
        if len(found) == _FEW:
            return None
        found.append(int(rest[0]))
        rest = rest[rest != rest[0]]
    return np.array(sorted(found), np.int64)


def places(distinct: Int64, among: Int64) -> Code:
    """Index of each value among some sorted ones, -1 where it is none of them."""
    found = np.full(len(distinct), -1, np.int32)
    if len(among) == 0:  # overhead rows alone make no thread known
        return found
    at = np.searchsorted(among, distinct)
    hit = (at < len(among)) & (among[np.minimum(at, len(among) - 1)] == distinct)
    found[hit] = at[hit]
    return found


def each(codes: Code, table: Code) -> Code:
    """The table's value for each code; a table of one is not looked up a million times."""
    return np.full(len(codes), table[0], np.int32) if len(table) == 1 else table[codes]


def index_among(values: Int64, among: Int64) -> Code:
    """`places` of many values, few of which differ."""
    codes, distinct = factorize(values)
    return each(codes, places(distinct, among))


def sought(column: Column, values: Int64, side: str) -> Int64:
    """As `np.searchsorted`. In the column's own type, else all of it would be converted."""
    kind = np.iinfo(column.dtype)
    inside = np.clip(values, kind.min, kind.max).astype(column.dtype)
    found: Int64 = np.searchsorted(column, inside, side=side)  # type: ignore[call-overload]
    # What the type cannot hold lies beyond every row.
    found[values > kind.max] = len(column)
    found[values < kind.min] = 0
    return found


def stretches(rows: int, most: int) -> Iterator[slice]:
    """All rows, at most so many at a time."""
    return (slice(low, min(low + most, rows)) for low in range(0, rows, most))


def groups(numbers: Int64 | Code) -> list[tuple[int, Int64]]:
    """Each number that occurs, and its positions, ascending. O(n log n), whatever their count.

    >>> [(number, rows.tolist()) for number, rows in groups(np.array([8, 2, 8]))]
    [(2, [1]), (8, [0, 2])]
    """
    codes, distinct = factorize(numbers.astype(np.int64, copy=False))
    if len(codes) == 0:
        return []
    if len(distinct) == 1:
        return [(int(distinct[0]), np.arange(len(codes)))]
    # Sixteen bits, where they are enough, are sorted by counting.
    narrow = codes.astype(np.int16) if len(distinct) < 2**15 else codes
    order = np.argsort(narrow, kind="stable")
    edges = np.cumsum(np.bincount(codes, minlength=len(distinct)))[:-1]
    return list(zip(distinct.tolist(), np.split(order, edges), strict=True))


class FirstMatch:
    """Where each value of a table stands first: built once, asked many times.

    O(n + range) for a dense range, as correlationIds are; else O(n log n).

    >>> FirstMatch(np.array([8, 7, 7])).find(np.array([7, 9, 8])).tolist()
    [1, -1, 0]
    """

    def __init__(self, table: Int64) -> None:
        self._table = table
        self._position: Int64 | Code | None = None
        self._ranked: Int64 | None = None
        if len(table) == 0:
            return
        self._low, self._high = int(table.min()), int(table.max())
        if self._high - self._low < max(8 * len(table), 1 << 12):
            # Row + 1, so that the pages nobody writes stay zero and are never touched. Filled
            # backwards, so that of several rows the first is the one that stays.
            self._position = np.zeros(self._high - self._low + 1, np.int32)
            rows = np.arange(len(table), 0, -1, dtype=np.int32)
            self._position[table[::-1] - self._low] = rows
        else:
            self._position = np.argsort(table, kind="stable")
            self._ranked = table[self._position]

    def find(self, keys: Int64) -> Int64:
        """Row of each key's first occurrence, -1 where there is none; shape of `keys`."""
        if self._position is None or len(keys) == 0:
            return np.full(len(keys), -1, np.int64)
        if self._ranked is not None:
            at = np.minimum(np.searchsorted(self._ranked, keys), len(self._table) - 1)
            return np.where(self._ranked[at] == keys, self._position[at], -1).astype(np.int64)
        if int(keys.min()) >= self._low and int(keys.max()) <= self._high:
            return self._position[keys - self._low].astype(np.int64) - 1
        inside = (keys >= self._low) & (keys <= self._high)
        rows = self._position[np.where(inside, keys - self._low, 0)].astype(np.int64) - 1
        return np.where(inside, rows, -1)

    def repeats(self) -> int:
        """How many rows repeat a positive value that stands further up."""
        if self._position is None:
            return 0
        if self._ranked is None and np.count_nonzero(self._position) == len(self._table):
            return 0  # as many places are taken as there are rows
        first = self.find(self._table)
        return int(np.count_nonzero((first != np.arange(len(first))) & (self._table > 0)))


def ordered(*keys: Int64) -> Int64 | None:
    """Order that sorts by the first key, then the next; None where the rows already stand so.

    Costs a comparison pass for sorted input, and sorts ties alone by the later keys.
    """
    first = keys[0]
    if len(first) < 2:
        return None
    step = np.diff(first)
    order: Int64 | None = None
    if (step < 0).any():
        order = np.argsort(first, kind="stable")
        first = first[order]
        step = np.diff(first)
    tied = np.flatnonzero(step == 0)
    if len(keys) == 1 or len(tied) == 0:
        return order
    rows = np.unique(np.concatenate((tied, tied + 1)))
    if order is None:
        order = np.arange(len(first))
    # Ties stand next to each other, so sorting them among themselves keeps every group in place.
    group = order[rows]
    inner = np.lexsort(tuple(key[group] for key in reversed(keys)))
    order[rows] = group[inner]
    return order


def distinct_rows(*parts: Int64) -> Int64:
    """The row numbers that occur, ascending. O(n + range) where they lie close together.

    >>> distinct_rows(np.array([5, 3]), np.array([3, 4])).tolist()
    [3, 4, 5]
    """
    rows = np.concatenate(parts)
    if len(rows) == 0:
        return rows
    low, high = int(rows.min()), int(rows.max())
    if high - low < 8 * len(rows):
        seen = np.zeros(high - low + 1, np.bool_)
        seen[rows - low] = True
        found: Int64 = np.flatnonzero(seen)
        return found + low
    rows.sort()
    keep = np.ones(len(rows), np.bool_)
    np.not_equal(rows[1:], rows[:-1], out=keep[1:])
    return rows[keep]
