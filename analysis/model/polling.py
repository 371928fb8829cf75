"""Polls: queries that ask again and again whether GPU work is done, until it is.

A poll is a wait by other means. It runs from the first query that found the work not done to the
one that found it done, on one thread, with no call between that does anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from msgspec import Struct

from .arrays import Bool, Code, groups
from .source import TORCH_PROFILER
from .trace import Calls, Operations, Trace

QUERY = frozenset(
    {
        "cudaEventQuery",
        "cudaStreamQuery",
        "cuEventQuery",
        "cuStreamQuery",
        "hipEventQuery",
        "hipStreamQuery",
        "urEventGetInfo",
        "piEventGetInfo",
        "zeEventQueryStatus",
        "zeFenceQueryStatus",
        "aclrtQueryEvent",
        "aclrtQueryEventStatus",
        "aclrtStreamQuery",
    }
)

IDLE_CALL = frozenset(
    {
        "cudaGetLastError",
        "cudaPeekAtLastError",
        "cudaGetDevice",
        "cudaSetDevice",
        "cudaStreamIsCapturing",
        "cudaStreamGetCaptureInfo",
        "cudaThreadExchangeStreamCaptureMode",
        "cuCtxGetCurrent",
        "cuCtxSetCurrent",
        "cuCtxGetDevice",
        "cuCtxPushCurrent",
        "cuCtxPopCurrent",
        "cuStreamIsCapturing",
        "cuThreadExchangeStreamCaptureMode",
        "hipGetLastError",
        "hipPeekAtLastError",
        "hipGetDevice",
        "hipSetDevice",
        "hipStreamIsCapturing",
        "hipThreadExchangeStreamCaptureMode",
    }
)
"""What wrappers do around every query, and what changes nothing on the GPU."""

_LEAST = 3
"""Queries of a poll where nobody recorded what they returned."""


class Polls(Struct, frozen=True, eq=False):
    """Arrays have shape (calls,)."""

    queries: Bool
    """Calls of a poll, those between its queries included."""
    goes_on: Bool
    """Of these, all but the first of each poll."""

    @classmethod
    def none(cls, calls: int) -> Polls:
        nothing = np.zeros(calls, np.bool_)
        return cls(nothing, nothing)


class PollFinder:
    """Finds the polls in calls that come a stretch at a time, sorted by (thread, start).

    `names`: of all calls, by their number.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._query = _table(names, QUERY)
        self._idle = _table(names, IDLE_CALL)
        self.any = bool(self._query.any())
        self._done = 0
        self._thread, self._first = -1, -1
        """The thread of the last row, and the row where a poll that may go on began; -1: none."""

    def add(self, thread: Code, name: Code, asking: Bool) -> Iterator[tuple[int, int]]:
        """Rows `[first, last]` of the polls that end in this stretch, counted from the first call
        of all. `asking`: of queries, those that found work not done."""
        count, begin = len(thread), self._done
        self._done += count
        if count == 0:
            return
        rows, query = np.arange(count), self._query[name]
        asks, ended = np.flatnonzero(query & asking), np.flatnonzero(query & ~asking)
        ends = ~(query & asking) & ~self._idle[name]
        # The last row before each one after which no poll was open; -2: there is none here.
        closed = np.full(count, -2)
        closed[1:][ends[:-1]] = rows[:-1][ends[:-1]]
        fresh = np.ones(count, np.bool_)
        fresh[0], fresh[1:] = int(thread[0]) != self._thread, thread[1:] != thread[:-1]
        closed[fresh] = rows[fresh] - 1
        closed = np.maximum.accumulate(closed)
        at = np.searchsorted(asks, closed[ended], side="right")
        first = np.append(asks, count)[at]
        if self._first >= 0:
            first[closed[ended] == -2] = self._first - begin
        hit = first < ended
        yield from zip((begin + first[hit]).tolist(), (begin + ended[hit]).tolist(), strict=True)
        last = count - 1 if ends[-1] else int(closed[-1])
        if last > -2 or self._first < 0:
            later = asks[asks > last]
            self._first = begin + int(later[0]) if len(later) else -1
        self._thread = int(thread[-1])


def polled(trace: Trace) -> Polls:
    """The polls of a whole trace."""
    calls, finder = trace.calls, PollFinder(trace.calls.names)
    if not finder.any or len(calls) == 0:
        return Polls.none(len(calls))
    asking = calls.failed
    if trace.source.producer == TORCH_PROFILER:
        asking = _asking(calls, trace.operations)
    queries, goes_on = np.zeros(len(calls), np.bool_), np.zeros(len(calls), np.bool_)
    for first, last in finder.add(calls.thread, calls.name, asking):
        queries[first : last + 1] = True
        goes_on[first + 1 : last + 1] = True
    return Polls(queries, goes_on)


def _asking(calls: Calls, operations: Operations) -> Bool:
    """Which queries found work not done, where no call says what it returned.

    Of three queries or more in a row, all that came before the last one during which, or since the
    one before it, an operation ended: only then can an answer have changed.
    """
    asking = np.zeros(len(calls), np.bool_)
    idle = calls.named(IDLE_CALL)
    kept = np.flatnonzero(~idle)
    query = calls.named(QUERY)[kept]
    # Queries in a row on one thread, other calls apart, have one number.
    new = np.ones(len(kept), np.bool_)
    new[1:] = (calls.thread[kept][1:] != calls.thread[kept][:-1]) | ~query[1:] | ~query[:-1]
    number = np.cumsum(new)
    rows, number = kept[query], number[query]
    first = np.searchsorted(number, number, side="left")
    place = np.arange(len(rows))
    for process, mine in groups(calls.process[rows]):
        ended = np.sort(operations.end[operations.process == process])
        later = mine[place[mine] - first[mine] >= _LEAST - 1]
        since, until = calls.start[rows[later - 1]], calls.end[rows[later]]
        changed = np.searchsorted(ended, until, "right") > np.searchsorted(ended, since, "left")
        for k in later[changed].tolist():
            asking[rows[first[k] : k]] = True
    return asking


def _table(names: Sequence[str], wanted: frozenset[str]) -> Bool:
    return np.array([name in wanted for name in names] or [False], np.bool_)
