"""Parts of a stored trace: some operations with the calls, ranges and overheads that matter."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ...model.arrays import Bool, distinct_rows
from ...model.cuda_calls import know_synchronizing
from ...model.intervals import Int64
from ...model.trace import Operations, Overheads, Ranges, Synchronizations, Trace
from ...store.folder import Array
from ...store.layout import BLOCK, GROUPS, SYNCHRONIZING
from ...store.opened import Store
from ..causes.dependency import know_stream_waits

NO_ROWS = np.empty(0, np.int64)


@dataclass(frozen=True)
class Sizes:
    """How much is held at once."""

    operations: int
    host_rows: int
    """Calls and ranges; one operation's launch and one instant's ranges are the least."""


Released = dict[tuple[int, int], Int64]
"""(process, stream) to the launch times, ascending, of operations queued behind a stream wait."""


def no_ranges() -> Ranges:
    return Ranges(**{name: np.empty(0, kind) for name, kind in GROUPS["ranges"].items()})


def _no_synchronizations() -> Synchronizations:
    names = GROUPS["synchronizations"].items()
    return Synchronizations(**{name: np.empty(0, kind) for name, kind in names})


def no_operations() -> Operations:
    return Operations(**{name: np.empty(0, kind) for name, kind in GROUPS["operations"].items()})


def rows_in(store: Store, lo: int | None, hi: int | None) -> tuple[int, int]:
    """Rows `[a, b)` of the operations outside which none touches `[lo, hi)`."""
    operations = store.operations
    stop = operations.rows
    if hi is not None:
        stop = int(np.searchsorted(operations["start"], hi, side="left"))
    first = 0
    if lo is not None:
        late = np.flatnonzero(operations.latest > lo)
        first = int(late[0]) * BLOCK if len(late) else stop
    return min(first, stop), stop


def operations_of(store: Store, rows: Int64) -> Operations:
    """These operations; `launch` is a row of the store's calls."""
    return Operations(**store.operations.read(slice_of(rows)))


def launches_of(operations: Operations) -> Int64:
    """Rows of the calls that launched them, ascending."""
    launch = operations.launch
    launch = launch[launch >= 0]
    if len(launch) and (np.diff(launch) > 0).all():
        return launch
    return distinct_rows(launch)


def part_of(
    store: Store,
    operations: Operations,
    calls: Int64,
    ranges: Ranges | None = None,
    overheads: Overheads | None = None,
    released: Released | None = None,
) -> Trace:
    """A trace of these operations and of the calls at these rows, ascending.

    An operation whose launch is not among them counts as launched by none.
    """
    columns = store.calls.read(slice_of(calls))
    flags = columns["flags"]
    at = np.searchsorted(calls, operations.launch)
    found = at < len(calls)
    found[found] = calls[at[found]] == operations.launch[found]
    none = np.empty(0, np.int64)
    trace = store.part(
        replace(operations, launch=np.where(found, at, -1)),
        columns,
        no_ranges() if ranges is None else ranges,
        _no_synchronizations(),
        Overheads(none, none, none.astype(np.int32), none.astype(np.int32), none)
        if overheads is None
        else overheads,
    )
    know_synchronizing(trace, (flags & SYNCHRONIZING) > 0)
    know_stream_waits(trace, _held(trace, released or {}))
    return trace


def slice_of(rows: Int64) -> Int64 | slice:
    """The same ascending rows as a slice where they stand together: read without a search."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def _held(trace: Trace, released: Released) -> Bool:
    operations = trace.operations
    held = np.zeros(len(operations), np.bool_)
    for (process, stream), times in released.items():
        mine = np.flatnonzero(
            (operations.process == process)
            & (operations.stream == stream)
            & (operations.launch >= 0)
        )
        if len(times) and len(mine):
            launched = trace.calls.start[operations.launch[mine]]
            at = np.minimum(np.searchsorted(times, launched), len(times) - 1)
            held[mine] = times[at] == launched
    return held


def calls_touching(store: Store, threads: list[int], first: int, last: int) -> list[Int64]:
    """Rows of each thread's calls with start <= last and end >= first."""
    return [store.calls.touching(*store.threads_rows(t), first, last) for t in threads]


def ranges_touching(store: Store, threads: list[int], first: int, last: int) -> Ranges:
    """The NVTX ranges of these threads with start <= last and end >= first."""
    found = [store.ranges.touching(*store.ranges_rows(t), first, last) for t in sorted(threads)]
    rows = np.concatenate(found) if found else NO_ROWS
    return Ranges(**store.ranges.read(slice_of(rows)))


def host_rows(store: Store, threads: list[int], first: int, last: int) -> int:
    """How many calls and ranges of these threads begin in `[first, last]`."""
    count = 0
    for group, bounds in ((store.calls, store.threads_rows), (store.ranges, store.ranges_rows)):
        for thread in threads:
            lo, hi = bounds(thread)
            start = group["start"][lo:hi]
            count += int(np.searchsorted(start, last, side="right"))
            count -= int(np.searchsorted(start, first, side="left"))
    return count


def overheads_touching(store: Store, first: int, last: int) -> Overheads:
    """The overhead rows that overlap `[first, last]`."""
    rows = store.overheads
    near = (rows.end >= first) & (rows.start <= last)
    names = GROUPS["overheads"]
    columns: dict[str, Array] = {name: getattr(rows, name)[near] for name in names}
    return Overheads(**columns)
