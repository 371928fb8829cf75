"""A trace of some rows of a store: operations with the calls, ranges and overheads that matter."""

from __future__ import annotations

import numpy as np
from msgspec.structs import replace

from ..model.arrays import distinct_rows
from ..model.cuda_calls import Waits, know_waits
from ..model.intervals import Int64
from ..model.trace import Operations, Overheads, Ranges, Synchronizations, Trace
from .folder import Array
from .layout import BLOCK, GOES_ON, GROUPS, SYNCHRONIZING
from .opened import Store

NO_ROWS = np.empty(0, np.int64)


def no_operations() -> Operations:
    return Operations(**_empty("operations"))


def _empty(group: str) -> dict[str, Array]:
    return {name: np.empty(0, kind) for name, kind in GROUPS[group].items()}


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


def in_window(store: Store, rows: slice, lo: int | None, hi: int | None) -> Int64:
    """Which of these operations touch `[lo, hi)`."""
    found = np.arange(rows.start, rows.stop)
    if lo is not None:
        found = found[store.operations.one(rows, "end") > lo]
    if hi is not None:
        found = found[store.operations.one(found, "start") < hi]
    return found


def part_of(
    store: Store,
    operations: Operations,
    calls: Int64,
    ranges: Ranges | None = None,
    overheads: Overheads | None = None,
) -> Trace:
    """A trace of these operations and of the calls at these rows, ascending.

    An operation whose launch is not among them counts as launched by none.
    """
    columns = store.calls.read(slice_of(calls))
    flags = columns["flags"]
    waits = Waits((flags & SYNCHRONIZING) > 0, (flags & GOES_ON) > 0, store.flag_waits.among(calls))
    at = np.searchsorted(calls, operations.launch)
    found = at < len(calls)
    found[found] = calls[at[found]] == operations.launch[found]
    trace = store.part(
        replace(operations, launch=np.where(found, at, -1)),
        columns,
        ranges or Ranges(**_empty("ranges")),
        Synchronizations(**_empty("synchronizations")),
        overheads or Overheads(**_empty("overheads")),
    )
    know_waits(trace, waits)
    return trace


def slice_of(rows: Int64) -> Int64 | slice:
    """The same ascending rows as a slice where they stand together: read without a search."""
    if len(rows) and rows[-1] - rows[0] + 1 == len(rows):
        return slice(int(rows[0]), int(rows[-1]) + 1)
    return rows


def calls_touching(store: Store, threads: list[int], first: int, last: int) -> list[Int64]:
    """Rows of each thread's calls with start <= last and end >= first, and of the next one after
    them: it may end a wait that began earlier."""
    return [calls_of(store, thread, first, last) for thread in threads]


def calls_of(store: Store, thread: int, first: int, last: int) -> Int64:
    """The same of one thread."""
    low, high = store.threads_rows(thread)
    found = store.calls.touching(low, high, first, last)
    after = low + int(np.searchsorted(store.calls["start"][low:high], last, side="right"))
    return np.append(found, after) if after < high else found


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
