"""Which wait let the queue run dry before each gap.

A wait is named by a number: that of the call that waited, or, where no call did (`flag_waits`), one
below -1 that says which call came next. -1 is none.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..model.arrays import groups
from ..model.cuda_calls import host_waits
from ..model.flag_waits import FLAG
from ..model.intervals import Int64
from ..model.trace import Trace
from .gaps import DeviceGaps


def before_call(rows: Int64) -> Int64:
    """Numbers of the waits for flags before these calls."""
    return -2 - rows


def call_of(waits: Int64) -> Int64:
    """The call that each wait is named by, -1 for none."""
    return np.where(waits < -1, -2 - waits, waits)


def renumbered(waits: Int64, calls: Int64) -> Int64:
    """The same waits, where the calls are these rows of a larger trace."""
    found = waits.copy()
    of_call, of_flag = waits >= 0, waits < -1
    found[of_call] = calls[waits[of_call]]
    found[of_flag] = before_call(calls[call_of(waits[of_flag])])
    return found


def wait_name(wait: int, call_name: Callable[[int], str]) -> str:
    """What is said of one wait; nothing of none."""
    if wait < -1:
        return FLAG
    return call_name(wait) if wait >= 0 else ""


def drained_by(trace: Trace, gaps: DeviceGaps, launch: Int64) -> Int64:
    """The wait of the launching thread that began before the gap, and ended inside it and before
    the launch: the one that let the queue run dry. One that began on an idle GPU drained
    nothing."""
    calls, waits = trace.calls, host_waits(trace)
    result = np.full(len(gaps), -1, np.int64)
    rows, flags = np.flatnonzero(waits.last(calls)), waits.flags
    if len(rows) + len(flags.call) == 0:
        return result
    wait, begun, back = rows, waits.begun(calls)[rows], calls.end[rows]
    if len(flags.call):
        wait = np.concatenate((wait, before_call(flags.call)))
        begun, back = np.concatenate((begun, flags.start)), np.concatenate((back, flags.end))
    thread = calls.thread[call_of(wait)]
    # Only where the launch began inside the gap could a call return between the two.
    inside = np.flatnonzero((launch >= 0) & (calls.start[launch] >= gaps.start))
    for index, positions in groups(calls.thread[launch[inside]]):
        mine = inside[positions]
        own = np.flatnonzero(thread == index)
        if len(own) == 0:
            continue
        own = own[np.argsort(begun[own], kind="stable")]
        returned = back[own]
        # Calls may be nested: of those that had begun, the one that returned last.
        reach = np.maximum.accumulate(returned)
        rises = np.concatenate(([True], returned[1:] > reach[:-1]))
        furthest = np.maximum.accumulate(np.where(rises, np.arange(len(own)), 0))
        # An operation that starts before its launch call (clock skew) was launched as it started.
        launched = np.minimum(calls.start[launch[mine]], gaps.end[mine])
        at = np.searchsorted(begun[own], gaps.start[mine], side="left") - 1
        last = furthest[np.maximum(at, 0)]
        hit = (at >= 0) & (returned[last] >= gaps.start[mine]) & (returned[last] <= launched)
        result[mine[hit]] = wait[own[last[hit]]]
    return result
