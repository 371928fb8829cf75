"""Calls of which not even a row is left.

Every CUDA call takes the next correlation id, whether its row is kept or not. Steps that took
equally many ids called the same, as far as anyone can see: a call that most of them recorded at one
place, counted in ids from the step's first, is missing where one holds none there. Steps that
called different functions at one place are not alike, and are not compared. A loss of whole steps,
or of one same call in each, cannot be seen like this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from ...model.arrays import factorize, groups, stretches
from ...model.intervals import Int64
from ...store.opened import Store
from ...store.whole import Whole
from ..sizes import Sizes
from ..steps import StepSeries
from .counts import Counts, added

ALIKE, OF_ALL = 5, 1 / 3
"""Steps with equally many ids that can be compared: how many, and which share of all."""
MOST_SERIES = 8
"""Series of steps that are looked at: each takes a pass over the calls."""
MOST_OF_THEM = 0.5
"""Share of the steps that recorded a call at some place from which the others lack it."""
OTHER_CALLS = 0.01
"""Share of calls of another name at the same place up to which steps are alike."""


class CallsLost(Struct, frozen=True):
    """Calls without a row, and the calls that there should be in the steps compared."""

    lost: int = 0
    expected: int = 0

    @property
    def share(self) -> float:
        return self.lost / self.expected if self.expected else 0.0


def calls_lost(tables: Whole | Store, series: tuple[StepSeries, ...], sizes: Sizes) -> CallsLost:
    """Over the steps of the longest series: one pass over the calls for each with steps alike.

    Keeps a count for each call of one step.
    """
    lost = expected = 0
    for one in sorted(series, key=len, reverse=True)[:MOST_SERIES]:
        begin, end = _alike(_first_ids(tables, one))
        if len(begin):
            found = _compared(_counted(tables, one.process, begin, end, sizes), len(begin), tables)
            lost, expected = lost + found.lost, expected + found.expected
    return CallsLost(lost, expected)


def _first_ids(tables: Whole | Store, one: StepSeries) -> Int64:
    """The id of the first call of each step on its thread; none where they do not rise."""
    calls = tables.calls
    low, high = _rows(tables, one.thread_index)
    if low == high:
        return np.empty(0, np.int64)
    start = calls["start"]
    # Of the column's own type, else all of it would be converted.
    key = np.clip(one.start, *_limits(start.dtype)).astype(start.dtype)
    at = low + np.searchsorted(start[low:high], key)
    inside = np.flatnonzero(at < high)
    inside = inside[calls.one(at[inside], "start") < one.end[inside]]
    ids: Int64 = calls.one(at[inside], "correlation").astype(np.int64)
    return ids if len(ids) and ids[0] > 0 and (np.diff(ids) > 0).all() else ids[:0]


def _limits(kind: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def _rows(tables: Whole | Store, thread: int) -> tuple[int, int]:
    column = tables.calls["thread"]
    keys = np.array([thread], column.dtype)
    low, high = (int(np.searchsorted(column, keys, side=side)[0]) for side in ("left", "right"))
    return low, high


def _alike(ids: Int64) -> tuple[Int64, Int64]:
    """First id, and the first behind, of the steps with the commonest number of ids."""
    taken = np.diff(ids)
    found = max((rows for _, rows in groups(taken)), key=len, default=taken[:0])
    if len(found) < max(ALIKE, OF_ALL * len(taken)):
        found = found[:0]
    return ids[found], ids[found + 1]


def _counted(tables: Whole | Store, process: int, begin: Int64, end: Int64, sizes: Sizes) -> Counts:
    """In how many of the steps a call of some name stands at some place. Keys: place and name."""
    calls, found = tables.calls, (begin[:0], begin[:0])
    for part in stretches(calls.rows, sizes.host_rows):
        rows = calls.read(part, "process", "correlation", "name")
        ids = rows["correlation"].astype(np.int64)
        step = np.searchsorted(begin, ids, side="right") - 1
        mine = (rows["process"] == process) & (step >= 0)
        mine[mine] = ids[mine] < end[step[mine]]
        place = ids[mine] - begin[step[mine]]
        found = added(found, place * len(tables.names) + rows["name"][mine])
        tables.forget()
    return found


def _compared(found: Counts, steps: int, tables: Whole | Store) -> CallsLost:
    keys, count = found
    if not len(keys):
        return CallsLost()
    codes, places = factorize(keys // len(tables.names))
    # Of several names at one place the commonest is the one that belongs there.
    most = np.zeros(len(places), np.int64)
    np.maximum.at(most, codes, count)
    if int(count.sum() - most.sum()) > OTHER_CALLS * int(count.sum()):
        return CallsLost()
    belong = np.minimum(most[most >= MOST_OF_THEM * steps], steps)
    return CallsLost(int((steps - belong).sum()), steps * len(belong))
