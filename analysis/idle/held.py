"""When something outside its queue kept a device from starting a process's work.

What is found is kept with the rows that it was found in, which all parts of a trace share.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool, groups
from ..model.intervals import (
    EMPTY,
    Int64,
    Intervals,
    covered_before,
    intersect,
    union,
    without,
)
from ..model.schema import HoldKind
from ..model.trace import Holds, Trace

ENDED = 1_000
"""After the start of an operation by so much, ns, may end what it waited for: the clocks' error."""


class Held(Struct, frozen=True, eq=False):
    """Time for which a device could not start a process's work."""

    times: Intervals
    rows: Intervals
    """The rows that say so, as one where they overlap or touch. `times` are parts of them."""

    def before(self, start: Int64, end: Int64, began: Int64) -> Intervals:
        """What of it operations that began at `began` waited for in `[start, end)`, disjoint: a
        row that ends after an operation began held nothing for it."""
        if len(self.rows) == 0:
            return EMPTY
        near = np.maximum(np.searchsorted(self.rows.start, began, side="left") - 1, 0)
        until, ended = self.rows.start[near], self.rows.end[near] <= began + ENDED
        return intersect(self.times, union(start, np.where(ended, end, np.minimum(end, until))))


NOTHING = Held(EMPTY, EMPTY)

Finder = Callable[[Trace, int, int], Held]
"""(trace, device, process) to the time for which the device could not start the process's work."""

_found: WeakKeyDictionary[Holds, dict[tuple[str, int, int], Held]] = WeakKeyDictionary()


def _once(find: Finder) -> Finder:
    """Look for it once in all parts of a trace."""

    @wraps(find)
    def known(trace: Trace, device: int, process: int) -> Held:
        if len(trace.holds) == 0:  # nearly every trace
            return NOTHING
        found = _found.setdefault(trace.holds, {})
        key = find.__name__, device, process
        if key not in found:
            found[key] = find(trace, device, process)
        return found[key]

    return known


@_once
def functions_awaited(trace: Trace, device: int, process: int) -> Held:
    """A stream or a graph of the process waited for a host function. On any stream: the device
    idles, so that nothing else of the process could run."""
    times, _ = _times(trace.holds, HoldKind.HOST_FUNCTION, device, process)
    return Held(times, times)


@_once
def switched_out(trace: Trace, device: int, process: int) -> Held:
    """Another process's context had the device, and none of this one's; nothing where no context
    is known to be its own."""
    own, others = _times(trace.holds, HoldKind.CONTEXT, device, process)
    if len(own) == 0:
        return NOTHING
    return Held(without(others, own), others)


def _times(holds: Holds, kind: HoldKind, device: int, process: int) -> tuple[Intervals, Intervals]:
    """Of the process, and of all others."""
    low, high = _rows(holds, kind)
    first, last = np.searchsorted(holds.device[low:high], [device, device + 1]).tolist()
    rows = slice(low + first, low + last)
    start, end, mine = holds.start[rows], holds.end[rows], holds.process[rows] == process
    return union(start[mine], end[mine]), union(start[~mine], end[~mine])


def _rows(holds: Holds, kind: HoldKind) -> tuple[int, int]:
    """Which rows are of a kind, `[low, high)`."""
    low, high = np.searchsorted(holds.kind, [kind, kind + 1]).tolist()
    return low, high


def traced_functions(trace: Trace) -> Bool:
    """Processes whose host functions were recorded; shape (processes,)."""
    found = np.zeros(len(trace.processes), np.bool_)
    low, high = _rows(trace.holds, HoldKind.HOST_FUNCTION)
    found[trace.holds.process[low:high]] = True
    return found


def held_within(trace: Trace, after: Int64, start: Int64, end: Int64) -> Int64:
    """For how much of `[start, end)`, disjoint, a device could not start an operation, ns; shape
    of all."""
    spent = np.zeros(len(after), np.int64)
    for device, process, rows in of_each_process(trace, after):
        waits = start[rows], end[rows]
        times = EMPTY
        for find in (functions_awaited, switched_out):
            held = find(trace, device, process)
            times = both(times, held.before(*waits, trace.operations.start[after[rows]]))
        spent[rows] = covered_within(times, *waits)
    return spent


def both(a: Intervals, b: Intervals) -> Intervals:
    """What either covers."""
    return union(np.concatenate((a.start, b.start)), np.concatenate((a.end, b.end)))


def covered_within(times: Intervals, start: Int64, end: Int64) -> Int64:
    """Length that the intervals cover of each `[start, end)`, ns."""
    return covered_before(times, end) - covered_before(times, start)


def of_each_process(trace: Trace, operations: Int64) -> list[tuple[int, int, Int64]]:
    """(device, process, positions) of some rows of operations."""
    rows = trace.operations
    count = max(len(trace.processes), 1)
    number = rows.device[operations].astype(np.int64) * count + rows.process[operations]
    return [(*divmod(key, count), places) for key, places in groups(number)]
