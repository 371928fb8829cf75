"""Calls of which not even a row is left.

Every CUDA call takes the next correlation id, whether its row is kept or not. Steps that took
equally many ids called the same, as far as anyone can see: a call that most of them recorded at one
place, counted in ids from the step's first, is missing where one holds none there. Steps that
called different functions at one place are not alike, and are not compared. A loss of whole steps,
or of one same call in each, cannot be seen like this; nor one that takes equally many rows of each
step: so do the calls of another thread that are not recorded, and fall anywhere in a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from ...model.arrays import factorize, groups, stretches
from ...model.cuda_calls import SYNCHRONIZE, named
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
EVEN = 0.1
"""Rows that steps lack vary by chance, their variance as large as their mean; below this share of
it they are no loss."""


class CallsLost(Struct, frozen=True):
    """Calls without a row, and the calls that there should be in the steps compared."""

    lost: int = 0
    expected: int = 0

    @property
    def share(self) -> float:
        return self.lost / self.expected if self.expected else 0.0


def calls_lost(tables: Whole | Store, series: tuple[StepSeries, ...], sizes: Sizes) -> CallsLost:
    """Over the steps of the longest series: one pass over the calls for each kind of steps alike.

    Without any, over what a thread does between its waits. Keeps a count for each call of one step
    and for each step, and one id for each wait.
    """
    longest = sorted(series, key=len, reverse=True)[:MOST_SERIES]
    bounds = [(one.process, kind) for one in longest for kind in _alike(_first_ids(tables, one))]
    if not bounds:
        process, ids = _waits(tables, sizes)
        bounds = [(process, kind) for kind in _alike(ids)]
    lost = expected = 0
    for process, (begin, end) in bounds:
        found = _compared(*_counted(tables, process, begin, end, sizes), tables)
        lost, expected = lost + found.lost, expected + found.expected
    return CallsLost(lost, expected)


def _waits(tables: Whole | Store, sizes: Sizes) -> tuple[int, Int64]:
    """The ids of the waits of the thread with the most of them, and its process."""
    calls, waiting = tables.calls, named(tables.names, SYNCHRONIZE.__contains__)
    found: list[dict[str, Any]] = []
    for part in stretches(calls.rows, sizes.host_rows) if waiting.any() else ():
        rows = part.start + np.flatnonzero(waiting[calls.one(part, "name")])
        found.append(calls.read(rows, "thread", "process", "correlation"))
        tables.forget()
    if not sum(len(one["thread"]) for one in found):
        return 0, np.empty(0, np.int64)
    thread, process, ids = (
        np.concatenate([one[name] for one in found])
        for name in ("thread", "process", "correlation")
    )
    mine = max((rows for _, rows in groups(thread)), key=len)
    return int(process[mine[0]]), _rising(ids[mine].astype(np.int64))


def _rising(ids: Int64) -> Int64:
    """The ids, if they rise; else none."""
    return ids if len(ids) and ids[0] > 0 and (np.diff(ids) > 0).all() else ids[:0]


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
    return _rising(ids)


def _limits(kind: np.dtype[Any]) -> tuple[int, int]:
    return int(np.iinfo(kind).min), int(np.iinfo(kind).max)


def _rows(tables: Whole | Store, thread: int) -> tuple[int, int]:
    column = tables.calls["thread"]
    keys = np.array([thread], column.dtype)
    low, high = (int(np.searchsorted(column, keys, side=side)[0]) for side in ("left", "right"))
    return low, high


def _alike(ids: Int64) -> list[tuple[Int64, Int64]]:
    """First id, and the first behind, of the steps of each common number of ids."""
    taken = np.diff(ids)
    return [
        (ids[rows], ids[rows + 1])
        for _, rows in groups(taken)
        if len(rows) >= max(ALIKE, OF_ALL * len(taken))
    ]


def _counted(
    tables: Whole | Store, process: int, begin: Int64, end: Int64, sizes: Sizes
) -> tuple[Counts, Int64]:
    """In how many of the steps a call of some name stands at some place (keys: place and name), and
    how many calls each step has."""
    calls, found, each = tables.calls, (begin[:0], begin[:0]), np.zeros(len(begin), np.int64)
    for part in stretches(calls.rows, sizes.host_rows):
        rows = calls.read(part, "process", "correlation", "name")
        ids = rows["correlation"].astype(np.int64)
        step = np.searchsorted(begin, ids, side="right") - 1
        mine = (rows["process"] == process) & (step >= 0)
        mine[mine] = ids[mine] < end[step[mine]]
        place = ids[mine] - begin[step[mine]]
        found = added(found, place * len(tables.names) + rows["name"][mine])
        each += np.bincount(step[mine], minlength=len(begin))
        tables.forget()
    return found, each


def _compared(found: Counts, each: Int64, tables: Whole | Store) -> CallsLost:
    (keys, count), steps = found, len(each)
    if not len(keys):
        return CallsLost()
    codes, places = factorize(keys // len(tables.names))
    # Of several names at one place the commonest is the one that belongs there.
    most = np.zeros(len(places), np.int64)
    np.maximum.at(most, codes, count)
    if int(count.sum() - most.sum()) > OTHER_CALLS * int(count.sum()):
        return CallsLost()
    belong = np.minimum(most[most >= MOST_OF_THEM * steps], steps)
    lost = int((steps - belong).sum())
    if float(each.var()) * steps < EVEN * lost:
        return CallsLost()
    return CallsLost(lost, steps * len(belong))
