"""Launched, and held back by something the trace shows: a stream wait, a host function, a peer."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from ...model.arrays import Bool, Code, factorize
from ...model.cuda_calls import HOST_FUNCTION, STREAM_WAIT
from ...model.intervals import Int64
from ...model.schema import NULL
from ...model.trace import Trace
from .base import Cause, GapContext, Phase

_known: WeakKeyDictionary[Trace, Bool] = WeakKeyDictionary()


def know_stream_waits(trace: Trace, held: Bool) -> None:
    """Say beforehand which operations of a part of a trace were queued behind a stream wait."""
    _known[trace] = held


def _claims(context: GapContext) -> Bool:
    trace = context.trace
    operations = trace.operations
    claimed: Bool = operations.peer[context.after]
    known = _known.get(trace)
    claimed |= _after_stream_wait(trace, context.after) if known is None else known[context.after]
    claimed |= _after_host_function(trace, context.launch)
    return claimed


def _after_stream_wait(trace: Trace, after: Int64) -> Bool:
    """Was a wait queued on the operation's stream after the stream's previous operation?"""
    waits = trace.synchronizations
    operations, calls = trace.operations, trace.calls
    held = np.zeros(len(after), np.bool_)
    # By the call's name: real exports store the type of a stream wait for cudaStreamSynchronize.
    chosen = np.flatnonzero(waits.call >= 0)
    chosen = chosen[calls.named(STREAM_WAIT)[waits.call[chosen]]]
    if len(chosen) == 0:
        return held
    streams = np.unique(waits.stream[chosen])

    def place(process: Code, stream: Int64) -> Int64:
        """A number for each (process, stream), -1 for a stream on which nobody waited."""
        at = np.minimum(np.searchsorted(streams, stream), len(streams) - 1)
        number = process.astype(np.int64) * len(streams) + at
        return np.where(streams[at] == stream, number, -1)

    queued = place(waits.process[chosen], waits.stream[chosen])
    mine = place(operations.process, operations.stream)
    launched = np.flatnonzero((mine >= 0) & (operations.launch >= 0))
    asked = np.flatnonzero(mine[after] >= 0)
    wait_at = _by_number(queued, calls.start[waits.call[chosen]])
    launch_at = _by_number(mine[launched], calls.start[operations.launch[launched]])
    for number, rows in _groups(mine[after[asked]]):
        if number not in wait_at:
            continue
        at = calls.start[operations.launch[after[asked[rows]]]]
        waited = _last_before(np.sort(wait_at[number]), at)
        held[asked[rows]] = (waited > NULL) & (
            waited >= _last_before(np.sort(launch_at[number]), at)
        )
    return held


def _groups(numbers: Int64) -> list[tuple[int, Int64]]:
    """Each number that occurs, and its positions, ascending. O(n log n), whatever their count."""
    codes, distinct = factorize(numbers)
    if len(codes) == 0:
        return []
    # Sixteen bits, where they are enough, are sorted by counting.
    narrow = codes.astype(np.int16) if len(distinct) < 2**15 else codes
    order = np.argsort(narrow, kind="stable")
    edges = np.cumsum(np.bincount(codes, minlength=len(distinct)))[:-1]
    return list(zip(distinct.tolist(), np.split(order, edges), strict=True))


def _by_number(numbers: Int64, values: Int64) -> dict[int, Int64]:
    return {number: values[rows] for number, rows in _groups(numbers)}


def _last_before(times: Int64, at: Int64) -> Int64:
    """The last of the sorted times before each instant, NULL where none is."""
    k = np.searchsorted(times, at) - 1
    return np.where(k >= 0, times[np.maximum(k, 0)], NULL)


def _after_host_function(trace: Trace, launch: Int64) -> Bool:
    """Is a host function the last thing queued by the same thread before this launch?"""
    calls = trace.calls
    functions = calls.named(HOST_FUNCTION)
    if not functions.any():
        return np.zeros(len(launch), np.bool_)
    previous = np.maximum(launch - 1, 0)
    same: Bool = (launch > 0) & (calls.thread[previous] == calls.thread[launch])
    return same & functions[previous]


CAUSE = Cause(
    name="dependency",
    phase=Phase.AFTER,
    priority=20,
    meaning="launched, but waiting for another stream, a host function or another device",
    remedy="record the event earlier, or drop the wait where the order is given anyway",
    claims=_claims,
)
