"""From a recorded trace to a program: the host's actions, with the operations that they queued.

Kernel durations, their streams and order, the time of every call and the host's time between calls
are the trace's own. What an event wait waited for is not in a trace and is inferred:
cudaEventSynchronize waits for the last operation that ended before it returned, as does a thread
that waited for a flag; a stream wait for what was queued before the last cudaEventRecord.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from msgspec import Struct

from ..gains.calls import own_times
from ..gains.constants import Constants, blocked_launches, measure
from ..gains.errors import NoGpuWork
from ..gains.work import COPY, KERNEL, MEMSET, ON_DEVICE, TO_DEVICE, TO_HOST, Work
from ..idle.steps import StepSeries
from ..model.arrays import Bool
from ..model.cuda_calls import (
    EVENT_RECORD,
    EVENT_SYNCHRONIZE,
    STREAM_SYNCHRONIZE,
    STREAM_WAIT,
    SYNCHRONIZE,
    host_waits,
)
from ..model.intervals import Int64
from ..model.names import operation_name
from ..model.polling import QUERY
from ..model.schema import CopyKind, Kind, SyncType
from ..model.step_ranges import STOP_CHECK
from ..model.trace import Trace
from ..question import DEFAULT_STEP, StepPattern
from .program import Action, Hold, Launch, Plain, Pop, Program, Push, Spend, Sync
from .ranges import host_ranges, patterns_of
from .remarks import NoLaunchCall, QueueFull, ThreadsInTurn

_EVENT_WAIT = "cudaEventSynchronize_v3020"
_DIRECTIONS = {CopyKind.HTOD: TO_DEVICE, CopyKind.DTOH: TO_HOST, CopyKind.ATOH: TO_HOST}


class Recorded(Struct, frozen=True):
    """A program, the constants of the machine it ran on, and what was left out or inferred."""

    program: Program
    constants: Constants
    notes: tuple[str, ...]
    patterns: tuple[StepPattern, ...]
    """By which its steps are found in what it plays."""


def read_program(
    trace: Trace, series: StepSeries, asked: tuple[StepPattern, ...] = (DEFAULT_STEP,)
) -> Recorded:
    """The steps of `series`, which the patterns asked for found, as a program.

    Raises TraceError where its steps launched nothing.
    """
    reader = _Reader(trace, series)
    program = reader.program()
    notes = tuple(reader.notes)
    return Recorded(program, reader.constants, notes, patterns_of(trace, series, asked))


class _Reader:
    def __init__(self, trace: Trace, series: StepSeries) -> None:
        self.trace, self.series = trace, series
        self.notes: list[str] = []
        self.begin, self.end = int(series.start[0]), int(series.end.max())
        self.ranges = host_ranges(trace, series, self.begin, self.end)
        self.constants = measure(trace, (self.begin, self.end))
        operations, calls = trace.operations, trace.calls
        launch = operations.launch
        mine = np.flatnonzero((series.step_of >= 0) & (launch >= 0))
        if len(mine) == 0:
            raise NoGpuWork(
                f"{trace.path}: its steps launched no GPU work, there is nothing to replay"
            )
        threads = set(np.unique(calls.thread[launch[mine]]).tolist()) | {series.thread_index}
        if len(threads) > 1:
            self.notes.append(
                ThreadsInTurn(
                    f"{len(threads)} threads launch work; they are replayed as one, in call order; "
                    "harness gaps replays each for itself"
                )
            )
        chosen = np.isin(calls.thread, list(threads))
        chosen &= (calls.start >= self.begin) & (calls.start < self.end)
        rows = np.flatnonzero(chosen)
        self.rows = rows[np.argsort(calls.start[rows], kind="stable")]
        found = host_waits(trace)
        self.waits, self.goes_on, self.flags = found.held, found.goes_on, found.flags
        self.begun, self.ends = found.begun(calls), found.last(calls)
        self.names = calls.names
        self.checks = self._inside(STOP_CHECK, calls.start[self.rows])
        self.flag_checks = self._inside(STOP_CHECK, self.flags.end)
        self._group_operations()
        self._own_times()
        self._last_recorded = -1

    def _inside(self, name: str, at: Int64) -> Bool:
        """Which of these instants lie in a range called `name`."""
        trace, ranges = self.trace, self.trace.ranges
        named = {i for i in np.unique(ranges.name).tolist() if trace.strings[i] == name}
        hit = np.isin(ranges.name, list(named)) & (ranges.thread == self.series.thread_index)
        low, high = np.sort(ranges.start[hit]), np.sort(ranges.end[hit])
        inside: Bool = np.searchsorted(low, at, "right") > np.searchsorted(high, at, "right")
        return inside

    def _group_operations(self) -> None:
        """Number the operations in launch order; `first` and `count` for each call of `rows`."""
        operations = self.trace.operations
        place = np.full(len(self.trace.calls) + 1, -1, np.int64)
        place[self.rows] = np.arange(len(self.rows))
        call = place[operations.launch]
        kept = np.flatnonzero((operations.launch >= 0) & (call >= 0))
        inside = (operations.start >= self.begin) & (operations.start < self.end)
        lost = int(np.count_nonzero(inside & (operations.launch < 0)))
        if lost:
            self.notes.append(
                NoLaunchCall(
                    f"{lost} of {int(inside.sum())} operations have no launch call and are left out"
                )
            )
        self.order = kept[np.lexsort((operations.start[kept], call[kept]))]
        count = np.bincount(call[self.order], minlength=len(self.rows))
        self.count = count
        self.first = np.concatenate(([0], np.cumsum(count)[:-1])) if len(count) else count

    def _own_times(self) -> None:
        held = self.waits[self.rows]
        blocked = np.isin(self.rows, blocked_launches(self.trace))
        one = np.zeros(len(self.rows), np.int64)
        self.own = own_times(self.trace.calls, self.rows, one, held, blocked, self.count > 0)
        if blocked.any():
            self.notes.append(
                QueueFull(f"{int(blocked.sum())} launch calls waited for room in the queue")
            )

    # The program

    def program(self) -> Program:
        """Merge calls and ranges in host order; the time between them is the host's."""
        calls = self.trace.calls
        actions: list[Action] = []
        cursor = self.begin
        for time, kind, index in self._instants():
            step = int(np.searchsorted(self.series.start, time, "right")) - 1
            if kind == 2 and self.goes_on[self.rows[index]]:
                cursor = max(cursor, time)  # between the queries of a poll the host waits
            if kind == 3:
                cursor = max(cursor, time)  # from the last that was seen of it on the host waits
            if time > cursor:
                actions.append(Spend(time - cursor, step))
                cursor = time
            if kind == 1:
                actions.append(Push(self.ranges[index].name, step))
            elif kind == 0:
                actions.append(Pop(step))
            elif kind == 3:
                actions.append(self._flag_wait(index, step))
                cursor += self.constants.timing.wake_ns  # the wait that is played ends so late
            else:
                if not self._asks_on(index):
                    actions.append(self._action(index, step))
                cursor = max(cursor, int(calls.end[self.rows[index]]))
        return Program(tuple(actions), self.begin, self._already_running(), steps=len(self.series))

    def _instants(self) -> list[tuple[int, int, int]]:
        """(time, 0 pop / 1 push / 2 call / 3 end of a wait for a flag, index), sorted."""
        found: list[tuple[int, int, int]] = []
        for index, one in enumerate(self.ranges):
            found += [(one.start, 1, index), (one.end, 0, index)]
        times = self.trace.calls.start[self.rows].tolist()
        found += [(time, 2, index) for index, time in enumerate(times)]
        here = np.isin(self.flags.call, self.rows)
        found += [(int(self.flags.end[k]), 3, k) for k in np.flatnonzero(here).tolist()]
        # Inner ranges are pushed after and popped before the outer ones they share an edge with.
        return sorted(found, key=lambda item: (item[0], item[1], item[2] * (-1) ** (item[1] == 0)))

    def _already_running(self) -> tuple[tuple[Hashable, int], ...]:
        operations, calls = self.trace.operations, self.trace.calls
        launched = np.where(
            operations.launch >= 0, calls.start[operations.launch], operations.start
        ) if len(calls) else operations.start  # fmt: skip
        rows = np.flatnonzero((launched < self.begin) & (operations.end > self.begin))
        busy: dict[Hashable, int] = {}
        for row in rows.tolist():
            key = self._stream(row)
            busy[key] = max(busy.get(key, 0), int(operations.end[row]))
        return tuple(sorted(busy.items(), key=str))

    def _stream(self, row: int) -> Hashable:
        operations = self.trace.operations
        return int(operations.device[row]), int(operations.stream[row])

    def _asks_on(self, index: int) -> bool:
        """A call of a poll that is not its last: the poll is one wait, which ends with that."""
        row = self.rows[index]
        return bool(self.waits[row]) and not self.ends[row]

    def _action(self, index: int, step: int) -> Action:
        row = int(self.rows[index])
        name = self.names[int(self.trace.calls.name[row])]
        own = int(self.own[index])
        if self.count[index]:
            return self._launch(index, name, own, step)
        if name in SYNCHRONIZE or (name in QUERY and self.waits[row]):
            return self._sync(index, row, name, own, step)
        if name in STREAM_WAIT:
            return Hold(name, own, self._held_stream(index, row), self._last_recorded, step)
        if EVENT_RECORD.match(name):
            self._last_recorded = self._queued(index)
        return Plain(name, own, step)

    def _queued(self, index: int) -> int:
        """Number of the last operation queued before call `index`."""
        return int(self.first[index]) - 1

    def _launch(self, index: int, name: str, own: int, step: int) -> Launch:
        first, count = int(self.first[index]), int(self.count[index])
        rows = self.order[first : first + count].tolist()
        operations = self.trace.operations
        start, end = operations.start[rows], operations.end[rows]
        held = bool(self.waits[self.rows[index]])
        if count > 1 and (start[1:] < np.maximum.accumulate(end)[:-1]).any():
            # Branches of a graph that overlap: one stretch, since one stream cannot overlap itself.
            works: tuple[Work, ...] = (Work("graph", int(end.max() - start.min())),)
        else:
            works = tuple(self._work(row, held) for row in rows)
        graph = first if count > 1 else None
        stream, checks = self._stream(rows[0]), bool(self.checks[index])
        return Launch(name, own, works, stream, first, step, graph, checks)

    def _work(self, row: int, held: bool) -> Work:
        operations = self.trace.operations
        kind, copy = int(operations.kind[row]), int(operations.copy_kind[row])
        duration = int(operations.end[row] - operations.start[row])
        if kind == Kind.MEMCPY:
            direction = _DIRECTIONS.get(CopyKind(copy), ON_DEVICE) if copy in _KINDS else ON_DEVICE
            return Work("copy", duration, COPY, direction, 0, held and direction == TO_HOST)
        label = operation_name(self.trace, row)
        return Work(label, duration, MEMSET if kind == Kind.MEMSET else KERNEL)

    def _sync(self, index: int, row: int, name: str, own: int, step: int) -> Sync:
        last = self._queued(index)
        checks = bool(self.checks[index])
        if name in EVENT_SYNCHRONIZE | QUERY:
            until = int(self.trace.calls.end[row])
            last, streams = self._awaited(int(self.begun[row]), until, last)
            name = _EVENT_WAIT if name in QUERY else name  # a poll is played as the wait that it is
            return Sync(name, own, last, streams, "event", step, checks)
        if name in STREAM_SYNCHRONIZE:
            streams = self._synced_stream(row, last)
            return Sync(name, own, last, streams, "stream", step, checks)
        return Sync(name, own, last, None, "device", step, checks)

    def _flag_wait(self, k: int, step: int) -> Sync:
        """Played as a wait for an event, which takes no time of its own."""
        begun, until = int(self.flags.start[k]), int(self.flags.end[k])
        index = int(np.flatnonzero(self.rows == self.flags.call[k])[0])
        last, streams = self._awaited(begun, until, self._queued(index))
        return Sync(_EVENT_WAIT, 0, last, streams, "event", step, bool(self.flag_checks[k]))

    def _awaited(self, begun: int, until: int, last: int) -> tuple[int, frozenset[Hashable] | None]:
        """The operation behind which the event of a cudaEventSynchronize most likely stands, of a
        wait that began and ended then."""
        operations = self.trace.operations
        low = max(0, last - 4_095)
        queued = self.order[low : last + 1]
        ended = np.flatnonzero(operations.end[queued] <= until)
        if len(ended) == 0:
            return -1, None
        ends = operations.end[queued[ended]]
        if ends.max() <= begun:
            # It did not wait; the event is that of a flag's copy rather than of any later kernel.
            copies = ended[operations.copy_kind[queued[ended]] == CopyKind.DTOH]
            ended = copies if len(copies) else ended
        best = int(ended[np.argmax(operations.end[queued[ended]])])
        return low + best, frozenset({self._stream(int(queued[best]))})

    def _synced_stream(self, row: int, last: int) -> frozenset[Hashable] | None:
        waits = self.trace.synchronizations
        found = np.flatnonzero((waits.call == row) & (waits.kind == SyncType.STREAM))
        if len(found):
            device = self._device_before(last)
            return frozenset({(device, int(waits.stream[found[0]]))})
        return frozenset({self._stream(int(self.order[last]))}) if last >= 0 else None

    def _held_stream(self, index: int, row: int) -> Hashable:
        waits = self.trace.synchronizations
        found = np.flatnonzero((waits.call == row) & (waits.kind == SyncType.STREAM_WAIT_EVENT))
        last = self._queued(index)
        if len(found):
            return self._device_before(last), int(waits.stream[found[0]])
        following = min(last + 1, len(self.order) - 1)
        return self._stream(int(self.order[following]))

    def _device_before(self, last: int) -> int:
        return int(self.trace.operations.device[self.order[max(last, 0)]])


_KINDS = frozenset(int(kind) for kind in CopyKind)
