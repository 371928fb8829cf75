"""Calls of which not even a row is left.

Every CUDA call takes the next correlation id, whether its row is kept or not. Steps that took
equally many ids called the same, as far as anyone can see, so that equally many of their calls were
recorded: where a step holds fewer, rows are missing. A loss of whole steps, or of one same call in
each, cannot be seen like this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from msgspec import Struct

from ...model.arrays import groups, stretches
from ...model.intervals import Int64
from ...store.opened import Store
from ...store.whole import Whole
from ..sizes import Sizes
from ..steps import StepSeries

ALIKE = 3
"""Steps with equally many ids from which one that recorded less stands out."""


class CallsLost(Struct, frozen=True):
    """Calls without a row, and the calls that there should be in the steps compared."""

    lost: int = 0
    expected: int = 0

    @property
    def share(self) -> float:
        return self.lost / self.expected if self.expected else 0.0


def calls_lost(tables: Whole | Store, series: tuple[StepSeries, ...], sizes: Sizes) -> CallsLost:
    """Over the steps of all series: one pass over the calls for each process with steps."""
    bounds: dict[int, list[Int64]] = {}
    for one in series:
        ids = _first_ids(tables, one)
        if len(ids) > ALIKE:
            bounds.setdefault(one.process, []).append(ids)
    lost = expected = 0
    for process, found in bounds.items():
        for ids, recorded in zip(found, _recorded(tables, process, found, sizes), strict=True):
            for _, alike in groups(np.diff(ids)):
                if len(alike) >= ALIKE:
                    most = int(recorded[alike].max())
                    expected += most * len(alike)
                    lost += int((most - recorded[alike]).sum())
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


def _recorded(
    tables: Whole | Store, process: int, bounds: list[Int64], sizes: Sizes
) -> list[Int64]:
    """How many calls of the process have an id between each two bounds."""
    counts = [np.zeros(len(ids) - 1, np.int64) for ids in bounds]
    calls = tables.calls
    for part in stretches(calls.rows, sizes.host_rows):
        mine = calls.one(part, "process") == process
        ids = calls.one(part, "correlation")[mine].astype(np.int64)
        for edges, count in zip(bounds, counts, strict=True):
            at = np.searchsorted(edges, ids, side="right") - 1
            at = at[(at >= 0) & (at < len(count))]
            np.add.at(count, at, 1)
        tables.forget()
    return counts
