"""The trace that would have been, had nobody recorded it: the same rows, at other times."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..gains.stretch import part_of
from ..model.arrays import ordered
from ..model.cuda_calls import Waits, host_waits, know_waits
from ..model.flag_waits import FlagWaits
from ..model.intervals import Int64
from ..model.schema import PID_MASK
from ..model.trace import Holds, Operations, Overheads, Ranges, Synchronizations, Trace
from ..readers.range_cpu import RangeCpu
from ..store.layout import GROUPS
from ..store.whole import Whole
from .costs import Costs
from .host import Lines
from .play import Played
from .score import Process, read_process


def bare_trace(trace: Trace, costs: Costs) -> Trace:
    """The trace with a recorder's costs taken out call by call.

    It has the same rows with the same ids; work of the device is as long as it was. Operations, and
    all that is sorted by time, are in the order of their new times.
    """
    return read_recorded(trace, with_ranges=costs.range > 0).without([costs])[0].trace()


_Columns = TypeVar("_Columns", Operations, Ranges, Holds)
_Rows = TypeVar("_Rows", Synchronizations, Overheads)


def _sorted(rows: _Columns, order: Int64) -> _Columns:
    names = type(rows).__struct_fields__
    return replace(rows, **{name: getattr(rows, name)[order] for name in names})


class Recorded(Struct, frozen=True, eq=False):
    """A trace that is ready to be played with any costs taken out."""

    trace: Trace
    parts: tuple[tuple[Int64, Int64, Process], ...]
    """Of each process with calls and work: rows of its calls, rows of its operations, itself."""
    part_of_thread: Int64
    """Which of these each thread belongs to; -1 for none: its times stay. Shape (threads,)."""

    def without(self, costs: Sequence[Costs]) -> list[BareTimes]:
        """The times that result for each of these costs."""
        each = [process.played(costs) for _, _, process in self.parts]
        return [BareTimes(self, tuple(played[k] for played in each)) for k in range(len(costs))]


def read_recorded(trace: Trace, *, with_ranges: bool = False) -> Recorded:
    """`with_ranges`: the recorder's ranges cost something too."""
    parts: list[tuple[Int64, Int64, Process]] = []
    process_part = np.full(len(trace.processes) + 1, -1, np.int64)
    for k in range(len(trace.processes)):
        calls = np.flatnonzero(trace.calls.process == k)
        operations = np.flatnonzero(trace.operations.process == k)
        process = read_process(_alone(trace, calls, operations), with_ranges=with_ranges)
        if process is not None:
            process_part[k] = len(parts)
            parts.append((calls, operations, process))
    places = {gid & PID_MASK: k for k, gid in enumerate(trace.processes)}
    of_thread = [places.get(one.global_tid & PID_MASK, -1) for one in trace.threads]
    part = process_part[np.array(of_thread, np.int64)] if of_thread else np.empty(0, np.int64)
    return Recorded(trace, tuple(parts), part)


def _alone(trace: Trace, calls: Int64, operations: Int64) -> Trace:
    """What one process called and did."""
    if len(calls) == len(trace.calls) and len(operations) == len(trace.operations):
        return trace
    columns = {name: getattr(trace.operations, name)[operations] for name in GROUPS["operations"]}
    return part_of(Whole(trace), calls, Operations(**columns), trace.ranges)


class BareTimes(Struct, frozen=True, eq=False):
    """The times of one trace with some costs taken out."""

    recorded: Recorded
    played: tuple[Played, ...]
    """Of each process."""

    def operations(self) -> Int64:
        """When each operation starts, ns; shape (operations,), in the order of the recording."""
        start = self.recorded.trace.operations.start.copy()
        for (_, rows, process), played in zip(self.recorded.parts, self.played, strict=True):
            start[rows[process.score.work.row]] = played.start[0]
        return start

    def of_thread(self, thread: Int64, time: Int64) -> Int64:
        """Instants of threads, by their place in the trace; -1 and less stand for nobody's, which
        go by the first process. Shapes (n,)."""
        found = time.copy()
        part = np.zeros(len(thread), np.int64)
        known = (thread >= 0) & (thread < len(self.recorded.part_of_thread))
        part[known] = self.recorded.part_of_thread[thread[known]]
        for k, (_, _, process) in enumerate(self.recorded.parts):
            mine = np.flatnonzero(part == k)
            line = np.full(len(mine), process.main, np.int64)
            some = known[mine]
            line[some] = process.line_of_thread[thread[mine[some]]]
            found[mine] = mapped(process.score.lines, self.played[k].time[0], line, time[mine])
        return found

    def trace(self) -> Trace:
        """All rows at their new times."""
        trace = self.recorded.trace
        calls = trace.calls
        thread = calls.thread.astype(np.int64)
        start, end = self.of_thread(thread, calls.start), self.of_thread(thread, calls.end)
        found = replace(
            trace,
            source=replace(trace.source, duration_ns=self._duration()),
            operations=self._operations(),
            calls=replace(calls, start=start, end=np.maximum(start, end)),
            **self._others(),
        )
        know_waits(found, self._waits(trace))
        return found

    def cpu(self, noted: RangeCpu) -> RangeCpu:
        """What was noted of threads' time on a core, at the new times of their ranges."""
        places = {one.global_tid: k for k, one in enumerate(self.recorded.trace.threads)}
        thread = np.array([places.get(tid, -1) for tid in noted.thread.tolist()], np.int64)
        start, end = self.of_thread(thread, noted.start), self.of_thread(thread, noted.end)
        return RangeCpu(start, np.maximum(start, end), noted.thread, noted.ran)

    def _operations(self) -> Operations:
        operations, start = self.recorded.trace.operations, self.operations()
        end = start + (operations.end - operations.start)
        order = ordered(start, operations.correlation) if (np.diff(start) < 0).any() else None
        found = replace(operations, start=start, end=end)
        if order is None:
            return found
        return _sorted(found, order)

    def _duration(self) -> int | None:
        trace = self.recorded.trace
        duration = trace.source.duration_ns
        if duration is None:
            return None
        return int(self.of_thread(np.array([-1]), np.array([duration]))[0])

    def _others(self) -> dict[str, object]:
        trace = self.recorded.trace
        ranges, synced, overheads = trace.ranges, trace.synchronizations, trace.overheads
        opened = self.of_thread(ranges.thread.astype(np.int64), ranges.start)
        closed = self.of_thread(ranges.end_thread.astype(np.int64), ranges.end)
        ranges = replace(ranges, start=opened, end=np.maximum(opened, closed))
        ranges = _sorted(ranges, np.lexsort((-ranges.end, ranges.start, ranges.thread)))
        caller = np.where(synced.call >= 0, trace.calls.thread[np.maximum(synced.call, 0)], -1)
        if len(trace.calls) == 0:
            caller = np.full(len(synced), -1, np.int64)
        thread = overheads.thread.astype(np.int64)
        return {
            "ranges": ranges,
            "synchronizations": self._between(synced, caller.astype(np.int64)),
            "overheads": self._between(overheads, thread),
            "holds": self._holds(trace.holds),
        }

    def _between(self, rows: _Rows, thread: Int64) -> _Rows:
        start, end = self.of_thread(thread, rows.start), self.of_thread(thread, rows.end)
        return replace(rows, start=start, end=np.maximum(start, end))

    def _holds(self, holds: Holds) -> Holds:
        """What held a device: as long after the work before it as recorded."""
        operations, begun = self.recorded.trace.operations, self.operations()
        shift = begun - operations.start
        start, end = holds.start.copy(), holds.end.copy()
        for device in np.unique(holds.device).tolist():
            mine = np.flatnonzero(holds.device == device)
            rows = np.flatnonzero(operations.device == device)
            rows = rows[np.argsort(operations.end[rows], kind="stable")]
            if len(rows) == 0:
                continue
            for edge in (start, end):
                at = np.searchsorted(operations.end[rows], edge[mine], side="right") - 1
                edge[mine] += np.where(at >= 0, shift[rows[np.maximum(at, 0)]], 0)
        found = replace(holds, start=start, end=np.maximum(start, end))
        return _sorted(found, np.lexsort((found.start, found.device, found.kind)))

    def _waits(self, trace: Trace) -> Waits:
        """Who waited is known from the recording; a flag that was up before anyone looked, no
        more."""
        known, calls = host_waits(trace), trace.calls
        flags = known.flags
        thread = calls.thread[flags.call].astype(np.int64)
        start, end = self.of_thread(thread, flags.start), self.of_thread(thread, flags.end)
        kept = (end > start) | (flags.end <= flags.start)
        found = FlagWaits(flags.call[kept], start[kept], end[kept], flags.followed, flags.copies)
        return Waits(known.held, known.goes_on, found)


def mapped(lines: Lines, bare: Int64, line: Int64, time: Int64) -> Int64:
    """Where instants of lines come to lie. What was taken out of a stretch lay at its begin, behind
    the call that cost it; a wait, and what it holds, is shorter or longer as a whole."""
    k = lines.at(line, time)
    last = lines.first[line + 1] - 1
    before, beyond = k < 0, k == last
    here = np.where(before, lines.first[line], k)
    after = np.minimum(here + 1, last)
    since = time - lines.time[here]
    span, new = lines.time[after] - lines.time[here], bare[after] - bare[here]
    # In a wait that others launch in, they go on at their own pace.
    found = np.where(
        lines.waits[after],
        np.where(
            lines.launches[after] | (new == span),
            np.minimum(since, new),
            np.floor(since * (new / np.maximum(span, 1))).astype(np.int64),
        ),
        np.clip(since - (span - new), 0, np.maximum(new, 0)),
    )
    found = np.where(before | beyond, since, found)
    return bare[here] + found
