"""What the host waited for, and what streams waited for, in a recorded loop.

A trace does not say what an event stands behind; that is inferred: a wait for an event, a poll and
a wait for a flag are for the last operation that ended before they returned; a stream waits for
what was queued before the last event was recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
from ..model.schema import MAX_TIME, SyncType
from ..model.trace import Synchronizations
from .loop import (
    CALL,
    COPY,
    FLAGGED,
    FREED,
    POLL,
    STAGED,
    TO_DEVICE,
    TO_HOST,
    Hold,
    Loop,
    Wait,
)
from .machine import NEVER

_LOOKED_AT = 4096
"""Operations among which that of an event is looked for."""
_BLOCKING = re.compile(r"(cuda|hip|cu)Memcpy(?!\w*(Async|Peer|DtoD|DtoA|AtoD))")
"""Copies that return when they are done."""
_RECORDS = 64
"""Events among which that of a stream's wait is looked for: the last ones."""
_FREES = re.compile("Free|Unmap|Unregister|Release|Trim")
"""In names of calls of the allocator that may wait until the device is idle."""
Lanes = Mapping[tuple[int, int], int]
"""(device, stream) to lane."""


def holding_copies(loop: Loop, rows: Int64) -> dict[int, int]:
    """Actions that a copy from pageable memory held for at least half of its time, and that copy.

    `rows`: of each action's call.
    """
    call_end = loop.stretch.trace.calls.end[rows][loop.action]
    held = (loop.direction == TO_DEVICE) & loop.pageable
    held &= 2 * call_end > loop.recorded_start + loop.recorded_end
    return {int(loop.action[k]): int(k) for k in np.flatnonzero(held)}


def blocking_copies(loop: Loop, rows: Int64) -> dict[int, int]:
    """Actions whose call copies to the device and returns when that is done, though the memory is
    pinned: cudaMemcpy and kin; and that copy."""
    calls = loop.stretch.trace.calls
    blocking = named(calls.names, _BLOCKING.match)[loop.name] & (loop.name >= 0)
    held = (loop.direction == TO_DEVICE) & ~loop.pageable & blocking[loop.action]
    held &= calls.end[rows][loop.action] >= loop.recorded_end
    return {int(loop.action[k]): int(k) for k in np.flatnonzero(held)}


def emptying_frees(loop: Loop, rows: Int64, shown: Bool) -> dict[int, int]:
    """Actions that gave memory back, and held the host until the device had done what was queued
    before them; and when it had, ns."""
    calls = loop.stretch.trace.calls
    frees = np.flatnonzero(named(calls.names, _frees)[loop.name] & (loop.name >= 0) & shown)
    if len(frees) == 0 or len(loop.action) == 0:
        return {}
    ends = np.maximum.accumulate(loop.recorded_end)
    last = loop.queued[frees] - 1
    over = np.where(last >= 0, ends[np.maximum(last, 0)], NEVER)
    held = (over > calls.start[rows[frees]]) & (over <= calls.end[rows[frees]])
    return dict(zip(frees[held].tolist(), over[held].tolist(), strict=True))


def _frees(name: str) -> bool:
    return is_allocating(name) and _FREES.search(name) is not None


def waits_of(
    loop: Loop,
    rows: Int64,
    shown: Bool,
    lanes: Lanes,
    staged: Mapping[int, int],
    freed: Mapping[int, int],
) -> tuple[Wait, ...]:
    """`rows`: of each action's call in the trace; `shown`: whether it is that call; `staged` and
    `freed`: see `holding_copies` and `emptying_frees`."""
    return _Waits(loop, rows, shown, lanes).all(staged, freed)


class _Waits:
    def __init__(self, loop: Loop, rows: Int64, shown: Bool, lanes: Lanes) -> None:
        self.loop, self.rows, self.shown, self.lanes = loop, rows, shown, lanes
        trace = loop.stretch.trace
        self.calls, self.found = trace.calls, host_waits(trace)
        self.begun = self.found.begun(self.calls)
        self.of_lane = [np.flatnonzero(loop.lane == k) for k in range(loop.lanes)]
        self.synced = _streams(trace.synchronizations, SyncType.STREAM)

    def all(self, staged: Mapping[int, int], freed: Mapping[int, int]) -> tuple[Wait, ...]:
        loop, wake = self.loop, self.loop.timing.wake_ns
        held = (self.found.held[self.rows] & self.shown) | ~self.shown
        blocking = blocking_copies(loop, self.rows)
        held[[*staged, *freed, *blocking]] = True
        result, flag = [], 0
        for action in np.flatnonzero(held).tolist():
            row = int(self.rows[action])
            end = int(self.calls.end[row])
            name, last = loop.call(action), int(loop.queued[action]) - 1
            late, running, held_ns = wake, NEVER, int(self.loop.length[action])
            if not self.shown[action]:
                how, name = FLAGGED, FLAG
                begun, until = self._flag(flag)
                targets, running = self._awaited(begun, until, last)
                held_ns = until - begun
                flag += 1
            elif action in staged:
                how, targets = STAGED, (staged[action],)
                late = end - int(loop.recorded_end[staged[action]])
            elif action in blocking:
                how, targets = CALL, (blocking[action],)
                late = end - int(loop.recorded_end[blocking[action]])
            elif action in freed:
                how, late = FREED, end - freed[action]
                targets, running = self._queued(range(loop.lanes), last)
            elif loop.count[action]:
                own = np.arange(last + 1, last + 1 + int(loop.count[action]))
                own = own[loop.direction[own] == TO_HOST]
                how, targets = COPY, tuple(own[-1:].tolist())
            elif name in EVENT_SYNCHRONIZE | QUERY:
                how = POLL if name in QUERY else CALL
                held_ns = end - int(self.begun[row])
                targets, running = self._awaited(int(self.begun[row]), end, last)
            else:
                how = CALL
                targets, running = self._queued(self._lanes_synced(row, name, last), last)
            result.append(Wait(action, targets, how, name, late, held_ns, running))
        return tuple(result)

    def _flag(self, k: int) -> tuple[int, int]:
        flags = self.found.flags
        return int(flags.start[k]), int(flags.end[k])

    def _lanes_synced(self, row: int, name: str, last: int) -> Sequence[int]:
        """The streams that a call waits for."""
        if name not in STREAM_SYNCHRONIZE:
            return self._done(int(self.calls.end[row]), last)
        if row not in self.synced:
            return (int(self.loop.lane[last]),) if last >= 0 else ()
        stream = self.synced[row]
        mine = [k for (_, number), k in self.lanes.items() if number == stream]
        # Of streams with that number on several devices: the one that was given work last.
        return sorted(mine, key=lambda k: self._last_of(k, last))[-1:]

    def _done(self, until: int, last: int) -> Sequence[int]:
        """All streams of the devices that had done all their work by then: where there are several
        devices, a call that waits for one may return while another works."""
        devices = {device for device, _ in self.lanes}
        if len(devices) > 1:
            ends = self.loop.recorded_end
            for (device, _), k in self.lanes.items():
                target = self._last_of(k, last)
                if target >= 0 and ends[target] > until:
                    devices.discard(device)
        return [k for (device, _), k in self.lanes.items() if device in devices]

    def _last_of(self, lane: int, last: int) -> int:
        """The last operation queued on a stream, of those up to `last`; -1 for none."""
        place = int(np.searchsorted(self.of_lane[lane], last, side="right")) - 1
        return int(self.of_lane[lane][place]) if place >= 0 else -1

    def _queued(self, lanes: Sequence[int], last: int) -> tuple[tuple[int, ...], int]:
        """All that was queued on these streams up to `last`: the last operation on each, and until
        when those ran that have had none."""
        found = [(k, self._last_of(k, last)) for k in lanes]
        running = [int(self.loop.running[k]) for k, target in found if target < 0]
        return tuple(target for _, target in found if target >= 0), max(running, default=NEVER)

    def _awaited(self, begun: int, until: int, last: int) -> tuple[tuple[int, ...], int]:
        """The operation behind which an event most likely stands, of a wait that began and ended
        then; `last` was queued before it. Or until when work ran that was queued earlier."""
        loop = self.loop
        low = max(0, last + 1 - _LOOKED_AT)
        end = loop.recorded_end[low : last + 1]
        over = np.flatnonzero(end <= until)
        earlier = loop.running[(loop.running > begun) & (loop.running <= until)].max(initial=NEVER)
        if len(over) == 0 or earlier > end[over].max():
            return (), int(earlier)
        if int(end[over].max()) <= begun:
            # It did not wait; the event is that of a flag's copy rather than of any later kernel.
            copies = over[loop.direction[low + over] == TO_HOST]
            over = copies if len(copies) else over
        return (low + int(over[np.argmax(end[over])]),), NEVER


def _streams(synced: Synchronizations, kind: SyncType) -> dict[int, int]:
    """The stream that each call was about, by the call's row."""
    mine = np.flatnonzero(synced.kind == kind)[::-1]
    return dict(zip(synced.call[mine].tolist(), synced.stream[mine].tolist(), strict=True))


def holds_of(loop: Loop, rows: Int64, shown: Bool, lanes: Lanes) -> tuple[Hold, ...]:
    """Waits of streams for events."""
    trace = loop.stretch.trace
    synced, names = trace.synchronizations, trace.calls.names
    if len(rows) == 0 or len(loop.action) == 0:
        return ()
    name = loop.name
    records = named(names, EVENT_RECORD.match)[name] & shown
    passed = _Passed(loop, records)
    streams = _streams(synced, SyncType.STREAM_WAIT_EVENT)
    result = []
    for action in np.flatnonzero(named(names, STREAM_WAIT.__contains__)[name] & shown).tolist():
        following = int(loop.queued[action])
        stream = streams.get(int(rows[action]))
        if stream is None:
            lane: int | None = int(loop.lane[min(following, len(loop.action) - 1)])
        else:
            lane = _next_given_work(loop, stream, following, lanes)
        if lane is not None:  # else nothing runs there
            result.append(Hold(action, lane, passed.target(action, lane)))
    return tuple(result)


class _Passed:
    """Which work an event stands behind that a stream was made to wait for: what was queued before
    the last event was recorded, of those that had passed when the stream went on."""

    def __init__(self, loop: Loop, records: Bool) -> None:
        self.loop = loop
        self.records = np.flatnonzero(records)
        self.of_lane = [np.flatnonzero(loop.lane == k) for k in range(loop.lanes)]

    def target(self, action: int, lane: int) -> int:
        """`action` makes the stream wait; -1 where no event fits."""
        loop, mine = self.loop, self.of_lane[lane]
        place = int(np.searchsorted(mine, loop.queued[action]))
        goes_on = int(loop.recorded_start[mine[place]]) if place < len(mine) else MAX_TIME
        last = int(np.searchsorted(self.records, action))
        targets = loop.queued[self.records[max(0, last - _RECORDS) : last]] - 1
        # Work of its own stream holds nothing: the event is one of another's.
        own = loop.lane[targets] == lane
        fits = (targets < 0) | (~own & (loop.recorded_end[targets] <= goes_on))
        found = np.flatnonzero(fits)
        return int(targets[found[-1]]) if len(found) else -1


def _next_given_work(loop: Loop, stream: int, following: int, lanes: Lanes) -> int | None:
    """The stream with that number; where several devices have one, the one that is given work
    next."""
    mine = [k for (_, number), k in lanes.items() if number == stream]
    if len(mine) < 2:
        return mine[0] if mine else None
    later = np.flatnonzero(np.isin(loop.lane[following : following + _LOOKED_AT], mine))
    return int(loop.lane[following + later[0]]) if len(later) else mine[0]
