"""The causes of some gaps of a stored trace, however many calls lie in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace

import numpy as np

from ...model.arrays import Bool, distinct_rows, factorize
from ...model.intervals import Int64
from ...model.trace import Operations
from ...store.opened import Store
from ..attribute import attribute, family, handoff_threads, host_by_range, thread_ranges
from ..causes import Cause, causes
from ..gaps import DeviceGaps
from .parts import (
    NO_ROWS,
    Released,
    Sizes,
    calls_touching,
    host_rows,
    overheads_touching,
    part_of,
    ranges_touching,
)


@dataclass
class Split:
    """Idle time of some gaps by cause: `attribute.Attribution`, with rows of the store."""

    causes: tuple[Cause, ...]
    time: Int64
    """Shape (causes, gaps), ns."""
    drained_by: Int64
    """Shape (gaps,): row of the store's calls, -1 for none."""
    host: Counter[str] = field(default_factory=Counter)
    handoffs: Counter[str] = field(default_factory=Counter)


def split_gaps(
    store: Store,
    operations: Operations,
    gaps: DeviceGaps,
    released: Released,
    sizes: Sizes,
) -> Split:
    """`operations`: those around the gaps; their `launch` is a row of the store's calls.

    Where more calls and ranges lie in the gaps than may be held, the gaps are halved; a single one
    is halved in time: each half has the same operations around it, so that the parts add up.
    """
    registry = causes()
    split = Split(
        registry, np.zeros((len(registry), len(gaps)), np.int64), np.full(len(gaps), -1, np.int64)
    )
    todo = [(0, len(gaps), -1, -1)] if len(gaps) else []
    while todo:
        low, high, first, last = todo.pop()
        start, end = gaps.start[low:high], gaps.end[low:high]
        if last >= 0:
            start, end = np.array([first]), np.array([last])
        span = (int(start[0]), int(end[-1]))
        threads = _threads(store, operations, gaps.after[low:high])
        if host_rows(store, threads, *span) > sizes.host_rows:
            if high - low > 1:
                middle = (low + high) // 2
                todo += [(middle, high, -1, -1), (low, middle, -1, -1)]
                continue
            if span[1] - span[0] > 1:
                middle = (span[0] + span[1]) // 2
                todo += [(low, high, middle, span[1]), (low, high, span[0], middle)]
                continue
        part = replace(
            gaps,
            start=start,
            end=end,
            before=gaps.before[low:high],
            after=gaps.after[low:high],
            boundary=gaps.boundary[low:high],
        )
        _add(store, operations, part, threads, span, released, split, slice(low, high))
        store.forget()
    return split


def _threads(store: Store, operations: Operations, after: Int64) -> list[int]:
    """The threads that launched what ends these gaps."""
    launch = operations.launch[after[after >= 0]]
    thread = store.calls.one(launch[launch >= 0], "thread")
    distinct: list[int] = factorize(thread.astype(np.int64))[1].tolist()
    return distinct


def _add(
    store: Store,
    operations: Operations,
    gaps: DeviceGaps,
    threads: list[int],
    span: tuple[int, int],
    released: Released,
    split: Split,
    where: slice,
) -> None:
    around = np.concatenate((gaps.before, gaps.after))
    launches = operations.launch[around[around >= 0]]
    launches = launches[launches >= 0]
    # The call above a launch says what its thread did before it.
    needed = [launches, np.maximum(launches - 1, 0), *calls_touching(store, threads, *span)]
    calls = distinct_rows(*needed)
    part = part_of(
        store,
        operations,
        calls,
        ranges_touching(store, threads, *span),
        overheads_touching(store, *span),
        released,
    )
    found = attribute(part, gaps)
    split.time[:, where] += found.time
    drained = np.where(found.drained_by >= 0, calls[found.drained_by], -1) if len(calls) else -1
    split.drained_by[where] = np.where(drained >= 0, drained, split.drained_by[where])
    split.host.update(host_by_range(part, gaps, found))
    split.handoffs.update(handoff_threads(part, gaps, found))


class Drains:
    """What let the queue run dry, by name: calls and the range that each was made in."""

    def __init__(self, store: Store, sizes: Sizes) -> None:
        self._store = store
        self._sizes = sizes
        self._labels: dict[tuple[int, bool, int], int] = {}
        self.names: list[str] = []

    def labels(self, rows: Int64) -> Int64:
        """Index into `names` for each call, -1 for none; shape of `rows`."""
        result = np.full(len(rows), -1, np.int64)
        known = np.flatnonzero(rows >= 0)
        if len(known) == 0:
            return result
        distinct = distinct_rows(rows[known])
        inverse = np.searchsorted(distinct, rows[known])
        columns = self._store.calls.read(distinct, "start", "thread", "name")
        found = np.empty(len(distinct), np.int64)
        for thread in np.unique(columns["thread"]).tolist():
            mine = np.flatnonzero(columns["thread"] == thread)
            found[mine] = self._of_thread(thread, columns["start"][mine], columns["name"][mine])
        result[known] = found[inverse]
        return result

    def _of_thread(self, thread: int, at: Int64, call: Int64) -> Int64:
        store, span = self._store, (int(at[0]), int(at[-1]))
        if len(at) > 1 and host_rows(store, [thread], *span) > self._sizes.host_rows:
            half = len(at) // 2
            parts = ((at[:half], call[:half]), (at[half:], call[half:]))
            return np.concatenate([self._of_thread(thread, *part) for part in parts])
        string, inside = self._innermost(thread, at, span)
        key, inverse = np.unique(
            np.stack((string, inside.astype(np.int64), call)), axis=1, return_inverse=True
        )
        ids = [self._label(*one) for one in key.T.tolist()]
        return np.array(ids, np.int64)[inverse.ravel()]

    def _innermost(self, thread: int, at: Int64, span: tuple[int, int]) -> tuple[Int64, Bool]:
        """Name of the innermost range at each instant, and whether there is one."""
        ranges = ranges_touching(self._store, [thread], *span)
        none = np.zeros(len(at), np.bool_)
        if len(ranges) == 0:
            return np.zeros(len(at), np.int64), none
        operations = Operations(**self._store.operations.read(NO_ROWS))
        part = part_of(self._store, operations, NO_ROWS, ranges)
        stretches, names = thread_ranges(part, thread)
        if len(names) == 0:
            return np.zeros(len(at), np.int64), none
        k = np.searchsorted(stretches.start, at, side="right") - 1
        inside = (k >= 0) & (stretches.end[np.maximum(k, 0)] > at)
        return np.where(inside, names[np.maximum(k, 0)], 0), inside

    def _label(self, string: int, inside: int, call: int) -> int:
        key = (string, bool(inside), call)
        if key not in self._labels:
            where = f"{family(self._store.strings[string])} · " if inside else ""
            name = where + self._store.names[call]
            # `Step 1` and `Step 2` are one family, so several ranges may have one name.
            if name not in self.names:
                self.names.append(name)
            self._labels[key] = self.names.index(name)
        return self._labels[key]
