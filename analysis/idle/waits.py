"""Which operations were queued behind a wait for another device or process.

A stream's wait for an event of its own device and process leaves no device idle: while it idles,
all that the process queued before that event is done, so that the event has passed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool, Code, groups, stretches
from ..model.cuda_calls import IPC_EVENT, STREAM_WAIT, named
from ..model.intervals import Int64
from ..model.schema import MAX_TIME
from ..model.trace import Operations, Trace
from ..store.opened import Store
from ..store.whole import Whole

_Times = dict[tuple[int, int], Int64]
"""(process, stream) to the launch times, ascending, of operations queued behind a stream wait."""


class Released(Struct, frozen=True, eq=False):
    """What was queued behind waits that may reach outside a device."""

    times: _Times
    opening: frozenset[int] = frozenset()
    """The processes that take events from others."""


class Queued(Struct, frozen=True, eq=False):
    """What host threads queued on streams: waits, or operations. Arrays have shape (n,)."""

    process: Code
    stream: Int64
    start: Int64
    """When the call began that queued it."""


def find_released(tables: Whole | Store, most: int) -> Released:
    """Find it, with at most so many rows read at a time."""
    opening = _opening(tables, most)
    waits = queued_waits(tables, opening, most)
    times = released(waits, queued_operations(tables, most))
    return Released(times, frozenset(np.flatnonzero(opening).tolist()))


def released(waits: Queued, operations: Iterable[Queued]) -> _Times:
    """For each stream the first launch after each wait that was queued on it; the operations may
    come in any number of parts."""
    numbers = _Numbers(waits.process, waits.stream)
    queued = {n: np.unique(waits.start[rows]) for n, rows in groups(numbers.of(waits))}
    after = {number: np.full(len(times), MAX_TIME) for number, times in queued.items()}
    for part in operations if queued else ():
        for number, rows in groups(numbers.of(part)):
            if number in queued:
                launched = np.sort(part.start[rows])
                at = np.searchsorted(launched, queued[number], side="right")
                inside = at < len(launched)
                found = after[number]
                found[inside] = np.minimum(found[inside], launched[at[inside]])
    return {numbers.stream(n): np.unique(at[at < MAX_TIME]) for n, at in after.items()}


class _Numbers:
    """One number for each (process, stream), -1 for a stream on which nobody waited."""

    def __init__(self, process: Code, stream: Int64) -> None:
        self._streams = np.unique(stream)

    def of(self, queued: Queued) -> Int64:
        """Shape of its arrays."""
        if len(self._streams) == 0:
            return np.full(len(queued.stream), -1, np.int64)
        at = np.minimum(np.searchsorted(self._streams, queued.stream), len(self._streams) - 1)
        number = queued.process.astype(np.int64) * len(self._streams) + at
        return np.where(self._streams[at] == queued.stream, number, -1)

    def stream(self, number: int) -> tuple[int, int]:
        """(process, stream) of a number."""
        process, at = divmod(number, len(self._streams))
        return process, int(self._streams[at])


def queued_waits(tables: Whole | Store, opening: Bool, most: int) -> Queued:
    """Every wait that was queued on a stream for an event that may be another device's, or, in the
    processes that take such events, another process's."""
    waits = tables.synchronizations
    # By the call's name: real exports store the type of a stream wait for cudaStreamSynchronize.
    waiting = named(tables.names, STREAM_WAIT.__contains__)
    rows = np.flatnonzero(waits.call >= 0)
    rows = rows[waiting[tables.calls.one(waits.call[rows], "name")]]
    if len(rows):
        outward = opening | _on_several_devices(tables, most)
        rows = rows[outward[waits.process[rows]]]
    start = tables.calls.one(waits.call[rows], "start")
    return Queued(waits.process[rows], waits.stream[rows], start)


def _on_several_devices(tables: Whole | Store, most: int) -> Bool:
    """Processes that work on several devices; shape (processes,)."""
    count = len(tables.processes)
    low, high = np.full(count, MAX_TIME), np.full(count, -1)
    for rows in stretches(tables.operations.rows, most):
        columns = tables.operations.read(rows, "process", "device")
        np.minimum.at(low, columns["process"], columns["device"])
        np.maximum.at(high, columns["process"], columns["device"])
        tables.forget()
    return low < high


def _opening(tables: Whole | Store, most: int) -> Bool:
    """Processes that take events from others; shape (processes,)."""
    found = np.zeros(len(tables.processes), np.bool_)
    opening = named(tables.names, IPC_EVENT.match)
    for rows in stretches(tables.calls.rows, most) if opening.any() else ():
        opened = opening[tables.calls.one(rows, "name")]
        found[tables.calls.one(rows, "process")[opened]] = True
        tables.forget()
    return found


def queued_operations(tables: Whole | Store, most: int) -> Iterator[Queued]:
    """The operations whose launch is known, at most so many at a time."""
    for rows in stretches(tables.operations.rows, most):
        columns = tables.operations.read(rows, "process", "stream", "launch")
        known = columns["launch"] >= 0
        launch, process, stream = (columns[n][known] for n in ("launch", "process", "stream"))
        yield Queued(process, stream, tables.calls.one(launch, "start"))
        tables.forget()


_released: WeakKeyDictionary[Trace, Released] = WeakKeyDictionary()
_behind: WeakKeyDictionary[Trace, Bool] = WeakKeyDictionary()
_near: WeakKeyDictionary[Trace, Operations] = WeakKeyDictionary()


def know_released(part: Trace, found: Released, near: Operations) -> None:
    """Say beforehand what `find_released` finds in the trace that this is a part of, and which
    operations of all devices touch the part's gaps."""
    _released[part], _near[part] = found, near


def _released_of(trace: Trace) -> Released:
    if trace not in _released:
        _released[trace] = find_released(Whole(trace), max(len(trace.operations), 1))
    return _released[trace]


def behind_waits(trace: Trace) -> Bool:
    """Was such a wait queued on the operation's stream after the stream's previous operation?
    Shape (operations,)."""
    if trace not in _behind:
        _behind[trace] = _held(trace, _released_of(trace).times)
    return _behind[trace]


def ended_elsewhere(trace: Trace, before: Int64, after: Int64) -> Bool:
    """Did what these operations may have waited for end after the operations before them, and by
    their own start: work of their process on another device? In a process that takes others'
    events nobody knows, and it may have. Shape of both."""
    operations, found = trace.operations, _released_of(trace)
    near = _near.get(trace, operations)
    until, process = operations.start[after], operations.process[after].astype(np.int64)
    # At the window's edge nothing says since when the device was idle.
    since = np.where(before >= 0, operations.end[before], until)
    ended = np.isin(process, list(found.opening))
    devices = len(trace.devices)
    for number, rows in groups(process * devices + operations.device[after]):
        own, device = divmod(number, devices)
        ends = np.sort(near.end[(near.process == own) & (near.device != device)])
        passed = np.searchsorted(ends, until[rows], "right")
        ended[rows] |= passed > np.searchsorted(ends, since[rows], "right")
    return ended


def _held(trace: Trace, found: _Times) -> Bool:
    operations = trace.operations
    held = np.zeros(len(operations), np.bool_)
    if not found:
        return held
    process, stream = (np.array(column) for column in zip(*found, strict=True))
    numbers = _Numbers(process, stream)
    launched = np.flatnonzero(operations.launch >= 0)
    start = trace.calls.start[operations.launch[launched]]
    mine = Queued(operations.process[launched], operations.stream[launched], start)
    for number, rows in groups(numbers.of(mine)):
        times = found.get(numbers.stream(number), start[:0])
        if len(times):
            at = np.minimum(np.searchsorted(times, start[rows]), len(times) - 1)
            held[launched[rows]] = times[at] == start[rows]
    return held
