"""Which call let the queue run dry before each gap."""

from __future__ import annotations

import numpy as np

from ..model.arrays import groups
from ..model.cuda_calls import host_waits
from ..model.intervals import Int64
from ..model.trace import Trace
from .gaps import DeviceGaps


def drained_by(trace: Trace, gaps: DeviceGaps, launch: Int64) -> Int64:
    """The synchronising call of the launching thread that began before the gap, and returned
    inside it and before the launch: the call that let the queue run dry. One that began on an idle
    GPU drained nothing."""
    calls, waits = trace.calls, host_waits(trace)
    result = np.full(len(gaps), -1, np.int64)
    if not waits.held.any():
        return result
    sync, begun = np.flatnonzero(waits.last(calls)), waits.begun(calls)
    # Only where the launch began inside the gap could a call return between the two.
    inside = np.flatnonzero((launch >= 0) & (calls.start[launch] >= gaps.start))
    for index, rows in groups(calls.thread[launch[inside]]):
        mine = inside[rows]
        own = sync[calls.thread[sync] == index]
        if len(own) == 0:
            continue
        own = own[np.argsort(begun[own], kind="stable")]
        returned = calls.end[own]
        # Calls may be nested: of those that had begun, the one that returned last.
        reach = np.maximum.accumulate(returned)
        rises = np.concatenate(([True], returned[1:] > reach[:-1]))
        furthest = np.maximum.accumulate(np.where(rises, np.arange(len(own)), 0))
        # An operation that starts before its launch call (clock skew) was launched as it started.
        launched = np.minimum(calls.start[launch[mine]], gaps.end[mine])
        at = np.searchsorted(begun[own], gaps.start[mine], side="left") - 1
        last = furthest[np.maximum(at, 0)]
        hit = (at >= 0) & (returned[last] >= gaps.start[mine]) & (returned[last] <= launched)
        result[mine[hit]] = own[last[hit]]
    return result
