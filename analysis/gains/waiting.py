"""What the host waited for, and what streams waited for, in a recorded loop.

A trace does not say what an event stands behind; that is inferred: a wait for an event, a poll and
a wait for a flag are for the last operation that ended before they returned; a stream waits for
what was queued before the last event was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..model.arrays import Bool
from ..model.cuda_calls import (
    EVENT_RECORD,
    EVENT_SYNCHRONIZE,
    STREAM_SYNCHRONIZE,
    STREAM_WAIT,
    host_waits,
    is_allocating,
    named,
)
from ..model.flag_waits import FLAG
from ..model.intervals import Int64
from ..model.polling import QUERY
from ..model.schema import SyncType
from .loop import CALL, COPY, FLAGGED, FREED, POLL, STAGED, TO_DEVICE, TO_HOST, Hold, Loop, Wait

_LOOKED_AT = 4096
"""Operations among which that of an event is looked for."""
_FREES = re.compile(r"(cuda|hip|cu|aclrt)\w*?(Free|Unmap|Unregister|Release|Trim)")
"""Calls of the allocator that may wait until the device is idle."""


def holding_copies(loop: Loop, rows: Int64) -> dict[int, int]:
    """Actions that a copy from pageable memory held for at least half of its time, and that copy.

    `rows`: of each action's call.
    """

    call_end = loop.stretch.trace.calls.end[rows][loop.action]
    held = (loop.direction == TO_DEVICE) & loop.pageable
    held &= 2 * call_end > loop.recorded_start + loop.recorded_end
    return {int(loop.action[k]): int(k) for k in np.flatnonzero(held)}


def emptying_frees(loop: Loop, rows: Int64, shown: Bool) -> dict[int, int]:
    """Actions that gave memory back, and ended when the device had done what was queued before
    them and not long before; and when it had, ns."""
    calls = loop.stretch.trace.calls
    frees = np.flatnonzero(named(calls.names, _frees)[loop.name] & (loop.name >= 0) & shown)
    if len(frees) == 0 or len(loop.action) == 0:
        return {}
    ends = np.maximum.accumulate(loop.recorded_end)
    last = loop.queued[frees] - 1
    over = np.where(last >= 0, ends[np.maximum(last, 0)], -1)
    held = (over > calls.start[rows[frees]]) & (over <= calls.end[rows[frees]])
    return dict(zip(frees[held].tolist(), over[held].tolist(), strict=True))


def _frees(name: str) -> bool:
    return is_allocating(name) and _FREES.match(name) is not None


def waits_of(
    loop: Loop, rows: Int64, shown: Bool, staged: Mapping[int, int], freed: Mapping[int, int]
) -> tuple[Wait, ...]:
    """`rows`: of each action's call in the trace; `shown`: whether it is that call; `staged` and
    `freed`: see `holding_copies` and `emptying_frees`."""
    return _Waits(loop, rows, shown).all(staged, freed)


class _Waits:
    def __init__(self, loop: Loop, rows: Int64, shown: Bool) -> None:
        self.loop, self.rows, self.shown = loop, rows, shown
        trace = loop.stretch.trace
        self.trace, self.calls = trace, trace.calls
        self.found = host_waits(trace)
        self.begun = self.found.begun(self.calls)
        self.of_lane = [np.flatnonzero(loop.lane == k) for k in range(loop.lanes)]
        self.synced = trace.synchronizations

    def all(self, staged: Mapping[int, int], freed: Mapping[int, int]) -> tuple[Wait, ...]:

        loop, wake = self.loop, self.loop.timing.wake_ns
        held = (self.found.held[self.rows] & self.shown) | ~self.shown
        held[[*staged, *freed]] = True
        result, flag = [], 0
        for action in np.flatnonzero(held).tolist():
            row = int(self.rows[action])
            name, last = loop.call(action), int(loop.queued[action]) - 1
            if not self.shown[action]:
                begun, until = self._flag(flag)
                flag += 1
                result.append(Wait(action, self._awaited(begun, until, last), FLAGGED, FLAG, wake))
            elif action in staged:
                copy = staged[action]
                late = int(self.calls.end[row] - loop.recorded_end[copy])
                result.append(Wait(action, (copy,), STAGED, name, late))
            elif action in freed:
                late = int(self.calls.end[row]) - freed[action]
                targets = self._last_of(range(loop.lanes), last)
                result.append(Wait(action, targets, FREED, name, late))
            elif loop.count[action]:
                own = np.arange(last + 1, last + 1 + int(loop.count[action]))
                own = own[loop.direction[own] == TO_HOST]
                result.append(Wait(action, tuple(own[-1:].tolist()), COPY, name, wake))
            elif name in EVENT_SYNCHRONIZE | QUERY:
                targets = self._awaited(int(self.begun[row]), int(self.calls.end[row]), last)
                result.append(Wait(action, targets, POLL if name in QUERY else CALL, name, wake))
            else:
                result.append(Wait(action, self._synced(row, name, last), CALL, name, wake))
        return tuple(result)

    def _flag(self, k: int) -> tuple[int, int]:
        flags = self.found.flags
        return int(flags.start[k]), int(flags.end[k])

    def _synced(self, row: int, name: str, last: int) -> tuple[int, ...]:
        """The last operation queued on each of the streams that a call waits for."""
        lanes = range(self.loop.lanes)
        if name in STREAM_SYNCHRONIZE and last >= 0:
            lanes = range(int(self.loop.lane[last]), int(self.loop.lane[last]) + 1)
            found = np.flatnonzero(
                (self.synced.call == row) & (self.synced.kind == SyncType.STREAM)
            )
            if len(found):
                mine = self._lanes_called(int(self.synced.stream[found[0]]))
                lanes = mine if mine is not None else range(0)
        return self._last_of(lanes, last)

    def _lanes_called(self, stream: int) -> range | None:
        """The lane of a stream, by its number; None where nothing ran on it."""
        operations = self.trace.operations
        for k, units in enumerate(self.of_lane):
            if len(units) and int(operations.stream[self.loop.row[units[0]]]) == stream:
                return range(k, k + 1)
        return None

    def _last_of(self, lanes: range, last: int) -> tuple[int, ...]:
        found = []
        for k in lanes:
            place = int(np.searchsorted(self.of_lane[k], last, side="right")) - 1
            if place >= 0:
                found.append(int(self.of_lane[k][place]))
        return tuple(found)

    def _awaited(self, begun: int, until: int, last: int) -> tuple[int, ...]:
        """The operation behind which an event most likely stands, of a wait that began and ended
        then; `last` was queued before it."""
        loop = self.loop
        low = max(0, last + 1 - _LOOKED_AT)
        end = loop.recorded_end[low : last + 1]
        over = np.flatnonzero(end <= until)
        if len(over) == 0:
            return ()
        if int(end[over].max()) <= begun:
            # It did not wait; the event is that of a flag's copy rather than of any later kernel.
            copies = over[loop.direction[low + over] == TO_HOST]
            over = copies if len(copies) else over
        return (low + int(over[np.argmax(end[over])]),)


def holds_of(
    loop: Loop, rows: Int64, shown: Bool, lanes: Mapping[tuple[int, int], int]
) -> tuple[Hold, ...]:
    """Waits of streams for events; `lanes`: by (device, stream)."""
    trace = loop.stretch.trace
    synced, names = trace.synchronizations, trace.calls.names
    if len(rows) == 0 or len(loop.action) == 0:
        return ()
    name = loop.name
    records = named(names, EVENT_RECORD.match)[name] & shown
    queued = np.where(records, loop.queued - 1, -1)
    recorded = np.maximum.accumulate(queued)
    result = []
    for action in np.flatnonzero(named(names, STREAM_WAIT.__contains__)[name] & shown).tolist():
        found = np.flatnonzero(
            (synced.call == rows[action]) & (synced.kind == SyncType.STREAM_WAIT_EVENT)
        )
        following = min(int(loop.queued[action]), len(loop.action) - 1)
        lane = int(loop.lane[following])
        if len(found):
            device = int(trace.operations.device[loop.row[following]])
            known = lanes.get((device, int(synced.stream[found[0]])))
            if known is None:
                continue  # nothing runs there
            lane = known
        result.append(Hold(action, lane, int(recorded[action])))
    return tuple(result)
