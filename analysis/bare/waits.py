"""What the host of a recorded process waited for, and what it would wait for without a recorder."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..gains.constants import FALLBACK
from ..gains.loop import FLAGGED, POLL, TO_HOST, Loop, Wait
from ..model.cuda_calls import EVENT_RECORD, EVENT_SYNCHRONIZE, host_waits, named
from ..model.intervals import Int64
from ..model.schema import MAX_TIME
from ..model.trace import Trace
from .host import Waited

_LOOKED_AT = 64
"""Events among which that of a wait is looked for: the last ones."""


class Ended(Struct, frozen=True):
    """What a wait ended with: rows of the operations, and how long it takes to wake up, ns."""

    targets: tuple[int, ...]
    wake: int


def waited_for(loop: Loop, line: Int64, blocked: Int64) -> list[tuple[Waited, Ended]]:
    """Waits for work, and launches that waited for room in the queue. `line`: of each call;
    `blocked`: rows of launches that may have."""
    trace = loop.stretch.trace
    calls, rows = trace.calls, LastRows(loop)
    begun = host_waits(trace).begun(calls)
    spans = [_span(loop, wait, line, begun) for wait in loop.waits]
    each = [tuple(rows.last(k) for k in wait.targets) for wait in loop.waits]
    _events(loop, rows, spans, each)
    wake = _wake(trace, spans, each)
    result = [_ended(trace, targets, span, wake) for span, targets in zip(spans, each, strict=True)]
    known = {one.call for one in spans}
    action = dict(zip(loop.call_row.tolist(), range(loop.actions), strict=True))
    for row, target in _room(trace, blocked):
        if row not in known and target >= 0:
            own = int(loop.own[action[row]])
            one = Waited(int(calls.start[row]), int(calls.end[row]), int(line[row]), own, row)
            result.append(_ended(trace, (target,), one, 0))
    return [(one, ended) for one, ended in result if one.end > one.start]


def _span(loop: Loop, wait: Wait, line: Int64, begun: Int64) -> Waited:
    calls, found = loop.stretch.trace.calls, host_waits(loop.stretch.trace)
    row = int(loop.call_row[wait.action])
    if wait.how == FLAGGED:
        k = int(np.searchsorted(found.flags.call, row))
        start, end = int(found.flags.start[k]), int(found.flags.end[k])
        return Waited(start, end, int(line[row]), 0, -1)
    own = int(loop.own[wait.action])
    return Waited(int(begun[row]), int(calls.end[row]), int(line[row]), own, row)


def _late(trace: Trace, span: Waited, targets: tuple[int, ...]) -> bool:
    """Whether it did wait: its work ended after it began, and it took longer than by itself."""
    until = max((int(trace.operations.end[row]) for row in targets), default=span.start)
    return until > span.start and span.end - span.start > span.own


def _wake(trace: Trace, spans: list[Waited], each: list[tuple[int, ...]]) -> int:
    """What it takes to return from a wait when the work is over, as those that waited show it."""
    ends = trace.operations.end
    samples = [
        span.end - max(int(ends[row]) for row in targets)
        for span, targets in zip(spans, each, strict=True)
        if span.call >= 0 and _late(trace, span, targets)
    ]
    samples = [one for one in samples if one >= 0]
    return int(np.median(samples)) if samples else FALLBACK.wake_ns


def _events(loop: Loop, rows: LastRows, spans: list[Waited], each: list[tuple[int, ...]]) -> None:
    """Puts right what waits for events are for.

    An event that had passed is one of many that had. Which one a loop waits for is told by the
    waits that did wait, by how many events were recorded since: a wait that found its event passed
    is for one as old, or older. Where none did wait, nobody can tell: then the host is taken to
    wait for none of them, and it is the device's own time that bounds the loop.
    """
    trace = loop.stretch.trace
    mine = [
        k for k, wait in enumerate(loop.waits) if wait.how == POLL or wait.name in EVENT_SYNCHRONIZE
    ]
    records = _Records(loop)
    lags: dict[int, int | None] = {}
    late: set[int] = set()
    for k in mine:
        action = loop.waits[k].action
        lags[k] = records.lag(action, spans[k].end)
        if lags[k] is not None:
            each[k] = (rows.last(records.behind(action, lags[k] or 0)),)
        if _late(trace, spans[k], each[k]):
            late.add(k)
    lag = max((lags[k] or 0 for k in mine), default=0)
    for k in mine:
        if k not in late:
            last = records.behind(loop.waits[k].action, lag) if late else -1
            known = lags[k] is not None and last >= 0
            each[k] = (rows.last(last),) if known else ()


class _Records:
    """Records of events, and the work that each stands behind."""

    def __init__(self, loop: Loop) -> None:
        names, shown = loop.stretch.trace.calls.names, loop.name >= 0
        action = np.flatnonzero(named(names, EVENT_RECORD.match)[loop.name] & shown)
        last = loop.queued[action] - 1
        action, last = action[last >= 0], last[last >= 0]
        copies = loop.direction[last] == TO_HOST
        # Of a loop that reads, the events of its copies are those that it looks at.
        kept = copies if copies.any() else ~copies
        self._action, self._last = action[kept], last[kept]
        self._end = loop.recorded_end[self._last]

    def lag(self, action: int, over: int) -> int | None:
        """How many events before the last one recorded before a call is the first that had passed
        by then; None where none of them had."""
        before = int(np.searchsorted(self._action, action))
        low = max(0, before - _LOOKED_AT)
        passed = np.flatnonzero(self._end[low:before] <= over)
        return before - 1 - low - int(passed[-1]) if len(passed) else None

    def behind(self, action: int, lag: int) -> int:
        """The operation behind which that event stands; -1 for none."""
        place = int(np.searchsorted(self._action, action)) - 1 - lag
        return int(self._last[place]) if place >= 0 else -1


def _ended(trace: Trace, targets: tuple[int, ...], one: Waited, wake: int) -> tuple[Waited, Ended]:
    """A wait for work that began when it was over is for something else, and keeps its length."""
    kept = tuple(k for k in targets if trace.operations.start[k] < one.end)
    return (one if kept else replace(one, own=MAX_TIME)), Ended(kept, wake)


class LastRows:
    """Rows of the trace that operations of a loop stand for."""

    def __init__(self, loop: Loop) -> None:
        self._loop, operations = loop, loop.stretch.trace.operations
        self._ends = operations.end
        self._order = np.argsort(operations.launch, kind="stable")
        self._launch = operations.launch[self._order]

    def last(self, k: int) -> int:
        """The row that ends last; of work of one launch that was made one, any of it."""
        row, end = int(self._loop.row[k]), int(self._loop.recorded_end[k])
        if self._ends[row] == end:
            return row
        launch = self._loop.stretch.trace.operations.launch[row]
        low, high = np.searchsorted(self._launch, [launch, launch + 1])
        mine = self._order[low:high]
        return int(mine[np.argmax(self._ends[mine])])


def _room(trace: Trace, blocked: Int64) -> list[tuple[int, int]]:
    """Launches that waited for room, and the operation whose end made it; -1 for none."""
    if len(blocked) == 0:
        return []
    operations, calls = trace.operations, trace.calls
    order = np.argsort(operations.end, kind="stable")
    at = np.searchsorted(operations.end[order], calls.end[blocked], side="right") - 1
    target = np.where(at >= 0, order[np.maximum(at, 0)], -1)
    over = operations.end[np.maximum(target, 0)] <= calls.start[blocked]
    target[over] = -1
    return list(zip(blocked.tolist(), target.tolist(), strict=True))
