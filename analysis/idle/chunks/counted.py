"""What has to be known of all rows of a stored trace: counted once, kept with the store."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...model.arrays import Bool
from ...model.cuda_calls import STREAM_WAIT
from ...model.intervals import Int64
from ...model.schema import MAX_TIME, Kind
from ...model.trace import Trace
from ...store.folder import Array
from ...store.layout import FAILED, LAUNCHED, REPEATED
from ...store.opened import Store
from ..counts import (
    CAPTURE_BEGINS,
    CAPTURE_ENDS,
    KINDS,
    LAUNCH,
    LOOKED_AT,
    Counted,
    common_ranges,
    nameless,
    unseen,
)
from .parts import Released, Sizes
from .steps import Progress


@dataclass(frozen=True)
class Facts:
    """`released`: see `parts.Released`, as (process, stream, times)."""

    counted: Counted
    released: tuple[tuple[int, int, Int64], ...]

    def by_stream(self) -> Released:
        return {(process, stream): times for process, stream, times in self.released}


def facts_of(store: Store, sizes: Sizes, progress: Progress) -> Facts:
    """Count them: one or two passes over the calls, one over the operations."""
    kinds, last_end = _operations(store, sizes)
    missing, launches, asked = _missing(store, sizes, last_end, progress)
    names = store.ranges.one(slice(0, LOOKED_AT), "name")
    counted = Counted(
        operations=store.operations.rows,
        calls=store.calls.rows,
        graphs=kinds[Kind.GRAPH],
        missing=missing,
        launches=launches,
        ranges=common_ranges(names, store.strings),
        nameless=nameless(
            store.names,
            store.operations.one(slice(0, LOOKED_AT), "name"),
            (
                store.ranges.one(rows, "name")
                for rows in _stretches(store.ranges.rows, sizes.host_rows)
            ),
            store.strings,
        ),
        unseen=unseen(set(kinds), asked.__getitem__),
    )
    store.forget()
    return Facts(counted, _released_of(store, sizes))


def _stretches(rows: int, size: int) -> list[slice]:
    return [slice(low, min(low + size, rows)) for low in range(0, rows, size)]


def _operations(store: Store, sizes: Sizes) -> tuple[Counter[int], int]:
    """(number of operations of each kind, end of the last operation)."""
    kinds: Counter[int] = Counter()
    for rows in _stretches(store.operations.rows, sizes.operations):
        found, count = np.unique(store.operations.one(rows, "kind"), return_counts=True)
        kinds.update(dict(zip(found.tolist(), count.tolist(), strict=True)))
    return kinds, int(store.operations.latest.max(initial=-MAX_TIME))


def _named(store: Store, wanted: set[str] | frozenset[str]) -> Bool:
    return np.array([name in wanted for name in store.names] or [False], np.bool_)


class _Capture:
    """Calls between the begin and the end of a stream capture of their thread."""

    def __init__(self, store: Store) -> None:
        self._begins, self._ends = _named(store, CAPTURE_BEGINS), _named(store, CAPTURE_ENDS)
        self.any = bool(self._begins.any())
        self._thread, self._depth = -1, 0

    def mask(self, thread: Array, name: Array, failed: Bool) -> Bool:
        """Of the next calls, in the order of the store."""
        step = (self._begins[name] & ~failed).astype(np.int64) - self._ends[name]
        depth = np.cumsum(step)
        first = np.searchsorted(thread, thread, side="left")
        base = np.where(first > 0, depth[np.maximum(first - 1, 0)], 0)
        # The first thread of this stretch may go on from the one before.
        base = np.where((first == 0) & (thread == self._thread), -self._depth, base)
        found = depth - base
        self._thread, self._depth = int(thread[-1]), int(found[-1])
        return np.asarray(found > 0)


def _missing(
    store: Store, sizes: Sizes, last_end: int, progress: Progress
) -> tuple[int, int, dict[re.Pattern[str], int]]:
    """`counted.missing_gpu_rows` of a store, and the number of calls for each of `KINDS`."""
    launching = _matching(store, LAUNCH)
    copying = {pattern: _matching(store, pattern) for _, _, pattern in KINDS}
    asked = dict.fromkeys(copying, 0)
    count = len(store.processes)
    last = np.full(count, -MAX_TIME)
    seen = np.zeros(count, np.int64)
    columns = ("start", "process", "flags", "name", "thread", "correlation")
    kept: list[tuple[int, int, int]] = []
    twins: list[list[Int64]] = [[] for _ in range(count)]
    seen_twins: list[list[Int64]] = [[] for _ in range(count)]
    for second in (False, True):
        capture = _Capture(store)
        total = np.zeros(count, np.int64)
        for rows in _stretches(store.calls.rows, sizes.host_rows):
            progress("calls", rows.start, store.calls.rows)
            part = store.calls.read(rows, *columns)
            failed = (part["flags"] & FAILED) > 0
            sound = ~failed & (part["correlation"] > 0)
            if capture.any:
                sound &= ~capture.mask(part["thread"], part["name"], failed)
            if second:
                within = sound & (part["start"] <= last[part["process"]])
                for pattern, named in copying.items():
                    asked[pattern] += int(np.count_nonzero(named[part["name"]] & within))
            mask = sound & launching[part["name"]]
            part = {name: column[mask] for name, column in part.items()}
            matched = (part["flags"] & LAUNCHED) > 0
            twin = (part["flags"] & REPEATED) > 0
            if not second:
                np.maximum.at(last, part["process"][matched], part["start"][matched])
                seen += np.bincount(part["process"][matched & ~twin], minlength=count)
                _gather(seen_twins, part, matched & twin)
            else:
                within = part["start"] <= last[part["process"]]
                total += np.bincount(part["process"][within & ~twin], minlength=count)
                _gather(twins, part, within & twin)
            store.forget()
        if not second:
            last = np.where((seen > 0) | [bool(t) for t in seen_twins], last, last_end)
        else:
            for process in range(count):
                unique = int(total[process]) + _distinct(twins[process])
                kept.append((process, unique, int(seen[process]) + _distinct(seen_twins[process])))
    return sum(a - b for _, a, b in kept), sum(a for _, a, _ in kept), asked


def _matching(store: Store, pattern: re.Pattern[str]) -> Bool:
    return np.array([bool(pattern.match(name)) for name in store.names] or [False], np.bool_)


def _gather(into: list[list[Int64]], part: dict[str, Array], mask: Bool) -> None:
    for process in np.unique(part["process"][mask]).tolist():
        into[process].append(part["correlation"][mask & (part["process"] == process)])


def _distinct(parts: list[Int64]) -> int:
    return len(np.unique(np.concatenate(parts))) if parts else 0


Queued = dict[tuple[int, int], Int64]
"""(process, stream) to when waits were queued on it, ascending."""


def _queued(process: Array, stream: Array, start: Int64) -> Queued:
    found = {}
    for key in sorted(set(zip(process.tolist(), stream.tolist(), strict=True))):
        mine = (process == key[0]) & (stream == key[1])
        found[key] = np.unique(start[mine])
    return found


def released_in(trace: Trace) -> tuple[tuple[int, int, Int64], ...]:
    """`Facts.released` of a trace that is in memory."""
    waits, calls, operations = trace.synchronizations, trace.calls, trace.operations
    rows = np.flatnonzero(waits.call >= 0)
    rows = rows[calls.named(STREAM_WAIT)[waits.call[rows]]]
    queued = _queued(waits.process[rows], waits.stream[rows], calls.start[waits.call[rows]])
    after = {key: np.full(len(times), MAX_TIME) for key, times in queued.items()}
    if queued:
        _earliest(
            queued, after, operations.process, operations.stream, operations.launch,
            lambda launch: calls.start[launch],
        )  # fmt: skip
    return _released(after)


def _released_of(store: Store, sizes: Sizes) -> tuple[tuple[int, int, Int64], ...]:
    """For each stream, the first launch after each wait that was queued on it."""
    waits = store.synchronizations
    rows = np.flatnonzero(waits.call >= 0)
    rows = rows[_named(store, STREAM_WAIT)[store.calls.one(waits.call[rows], "name")]]
    start = store.calls.one(waits.call[rows], "start")
    queued = _queued(waits.process[rows], waits.stream[rows], start)
    after = {key: np.full(len(times), MAX_TIME) for key, times in queued.items()}
    for part in _stretches(store.operations.rows, sizes.operations) if queued else ():
        columns = store.operations.read(part, "process", "stream", "launch")
        _earliest(
            queued, after, columns["process"], columns["stream"], columns["launch"],
            lambda launch: store.calls.one(launch, "start"),
        )  # fmt: skip
        store.forget()
    return _released(after)


def _earliest(
    queued: Queued,
    after: Queued,
    process: Array,
    stream: Array,
    launch: Int64,
    start_of: Callable[[Int64], Int64],
) -> None:
    """Of each wait, the first launch on its stream that begins after it: the earlier of what
    `after` has and of what these operations have."""
    for (owner, number), times in queued.items():
        mine = (process == owner) & (stream == number) & (launch >= 0)
        launched = np.sort(start_of(launch[mine]))
        at = np.searchsorted(launched, times, side="right")
        inside = at < len(launched)
        found = after[owner, number]
        found[inside] = np.minimum(found[inside], launched[at[inside]])


def _released(after: Queued) -> tuple[tuple[int, int, Int64], ...]:
    return tuple(
        (owner, number, np.unique(times[times < MAX_TIME]))
        for (owner, number), times in after.items()
    )
