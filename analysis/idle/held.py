"""When something outside its queue kept a device from starting a process's work.

What is found is kept with the rows that it was found in, which all parts of a trace share.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from weakref import WeakKeyDictionary

import numpy as np

from ..model.arrays import Bool, groups
from ..model.intervals import (
    EMPTY,
    Int64,
    Intervals,
    covered_before,
    union,
    without,
)
from ..model.schema import HoldKind
from ..model.trace import Holds, Trace

Finder = Callable[[Trace, int, int], Intervals]
"""(trace, device, process) to the time for which the device could not start the process's work."""

_found: WeakKeyDictionary[Holds, dict[tuple[str, int, int], Intervals]] = WeakKeyDictionary()


def _once(find: Finder) -> Finder:
    """Look for it once in all parts of a trace."""

    @wraps(find)
    def known(trace: Trace, device: int, process: int) -> Intervals:
        if len(trace.holds) == 0:  # nearly every trace
            return EMPTY
        found = _found.setdefault(trace.holds, {})
        key = find.__name__, device, process
        if key not in found:
            found[key] = find(trace, device, process)
        return found[key]

    return known


@_once
def functions_awaited(trace: Trace, device: int, process: int) -> Intervals:
    """A stream or a graph of the process waited for a host function. On any stream: the device
    idles, so that nothing else of the process could run."""
    return _times(trace.holds, HoldKind.HOST_FUNCTION, device, process)[0]


@_once
def switched_out(trace: Trace, device: int, process: int) -> Intervals:
    """Another process's context had the device, and none of this one's; nothing where no context
    is known to be its own."""
    own, others = _times(trace.holds, HoldKind.CONTEXT, device, process)
    if len(own) == 0:
        return EMPTY
    return without(others, own)


@_once
def held_up(trace: Trace, device: int, process: int) -> Intervals:
    """One or the other."""
    found = functions_awaited(trace, device, process), switched_out(trace, device, process)
    return union(*(np.concatenate(edges) for edges in zip(*map(_edges, found), strict=True)))


def _edges(times: Intervals) -> tuple[Int64, Int64]:
    return times.start, times.end


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
    """For how much of `[start, end)` a device could not start an operation, ns; shape of all."""
    spent = np.zeros(len(after), np.int64)
    for device, process, rows in of_each_process(trace, after):
        times = held_up(trace, device, process)
        spent[rows] = covered_within(times, start[rows], end[rows])
    return spent


def covered_within(times: Intervals, start: Int64, end: Int64) -> Int64:
    """Length that the intervals cover of each `[start, end)`, ns."""
    return covered_before(times, end) - covered_before(times, start)


def of_each_process(trace: Trace, operations: Int64) -> list[tuple[int, int, Int64]]:
    """(device, process, positions) of some rows of operations."""
    rows = trace.operations
    count = max(len(trace.processes), 1)
    number = rows.device[operations].astype(np.int64) * count + rows.process[operations]
    return [(*divmod(key, count), places) for key, places in groups(number)]
