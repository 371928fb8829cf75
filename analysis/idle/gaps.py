"""Gaps: the maximal idle intervals of one device, and how they fall between steps."""

from __future__ import annotations

from enum import IntEnum
from functools import cached_property
from typing import TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import replace
from numpy.typing import NDArray

from ..model.arrays import Bool, Code8
from ..model.intervals import EMPTY, Int64, Intervals
from ..model.trace import Device, Trace
from ..question import Question
from ..store.opened import Store
from .errors import NoCaptureTime, WindowEndsFirst
from .steps import StepSeries

_T = TypeVar("_T", np.int64, np.int32)


class GapKind(IntEnum):
    """Where a gap lies, seen from one step series."""

    INTER = 0
    """Between operations of two different steps."""
    INTRA = 1
    """Between operations of the same step."""
    UNASSIGNED = 2
    """One of its two operations belongs to no step of the series."""
    BOUNDARY = 3
    """At an edge of the window."""


class DeviceGaps(Struct, frozen=True, eq=False, dict=True):
    """The idle intervals of one device inside one window. Arrays have shape (gaps,)."""

    device: Device
    window_start: int
    window_end: int
    rows: Int64 | slice
    """Which rows of `Trace.operations` run on this device inside the window."""
    busy: Intervals
    start: Int64
    end: Int64
    before: Int64
    """Row of the operation with the latest end before the gap, -1 at the window's edge."""
    after: Int64
    """Row of the first operation after it by (start, correlationId), -1 at the window's edge."""
    boundary: Bool

    def __len__(self) -> int:
        return len(self.start)

    @property
    def window_ns(self) -> int:
        return self.window_end - self.window_start

    @property
    def busy_ns(self) -> int:
        return self.busy.total

    @property
    def idle_ns(self) -> int:
        return int((self.end - self.start).sum())

    @cached_property
    def length(self) -> Int64:
        return self.end - self.start

    def only(self, rows: Int64 | slice) -> DeviceGaps:
        """Some of the gaps, by position."""
        names = ("start", "end", "before", "after", "boundary")
        return replace(self, **{name: getattr(self, name)[rows] for name in names})


def device_gaps(trace: Trace, device: Device, lo: int | None, hi: int | None) -> DeviceGaps | None:
    """The gaps of one device in `[lo, hi)`, or None where it does nothing there.

    An edge that is None is where its operations begin or end. Promise: busy_ns + idle_ns ==
    window_ns, checked.
    """
    operations = trace.operations
    rows: Int64 | slice = slice(None)
    if len(trace.devices) > 1:
        rows = np.flatnonzero(operations.device == device.index)
    start, end = operations.start[rows], operations.end[rows]
    if (lo is not None or hi is not None) and len(start):
        inside = np.ones(len(start), np.bool_)
        if lo is not None:
            inside &= end > lo
        if hi is not None:
            inside &= start < hi
        if not inside.all():
            rows = np.flatnonzero(inside) if isinstance(rows, slice) else rows[inside]
            start, end = start[inside], end[inside]
    if len(start) == 0:
        return None
    reach = np.maximum.accumulate(end)
    lo = int(start[0]) if lo is None else lo
    hi = int(reach[-1]) if hi is None else hi
    # Operations are sorted by (start, correlationId): the first at a gap's end is the one meant.
    heads = np.flatnonzero(start[1:] > reach[:-1]) + 1
    starts = np.concatenate((start[:1], start[heads]))
    ends = np.concatenate((reach[heads - 1], reach[-1:]))
    starts[0], ends[-1] = max(starts[0], lo), min(ends[-1], hi)
    busy = Intervals(starts, ends)
    # The gaps lie between, and at the edges where the window reaches beyond the work.
    first, stop = int(lo == starts[0]), len(starts) + int(hi != ends[-1])
    idle = Intervals(
        np.concatenate(([lo], ends))[first:stop], np.concatenate((starts, [hi]))[first:stop]
    )
    assert busy.total + idle.total == hi - lo

    before = np.concatenate(([-1], _leaders(end, reach, heads)))[first:stop]
    following = np.concatenate(([0], heads, [-1]))[first:stop]
    if not isinstance(rows, slice):
        before = np.where(before >= 0, rows[before], -1)
        following = np.where(following >= 0, rows[following], -1)
    return DeviceGaps(
        device=device,
        window_start=lo,
        window_end=hi,
        rows=rows,
        busy=busy,
        start=idle.start,
        end=idle.end,
        before=before,
        after=following,
        boundary=(idle.start == lo) | (idle.end == hi),
    )


def _leaders(end: Int64, reach: Int64, heads: Int64) -> Int64:
    """The operation that ends last before each head, and of all: ties keep the earlier one."""
    last: Int64 = np.append(heads - 1, len(end) - 1)
    if bool((end[1:] > reach[:-1]).all()):
        return last
    rises = np.ones(len(end), np.bool_)
    np.greater(end[1:], reach[:-1], out=rises[1:])
    leader = np.maximum.accumulate(np.where(rises, np.arange(len(end)), 0))
    leading: Int64 = leader[last]
    return leading


def idle_throughout(device: Device, lo: int, hi: int) -> DeviceGaps:
    """The one gap of a device that does nothing in `[lo, hi)`."""
    nobody = np.array([-1], np.int64)
    return DeviceGaps(
        device=device,
        window_start=lo,
        window_end=hi,
        rows=np.empty(0, np.int64),
        busy=EMPTY,
        start=np.array([lo], np.int64),
        end=np.array([hi], np.int64),
        before=nobody,
        after=nobody,
        boundary=np.array([True]),
    )


def edges(
    trace: Trace | Store, question: Question, recorded: tuple[int, int]
) -> tuple[int | None, int | None]:
    """Where the window asked for begins and ends, ns; None where the operations decide.

    `recorded`: where the first operation of any device begins, and the last one ends. An edge
    beyond it cuts nothing. Raises NoCaptureTime, WindowEndsFirst.
    """
    lo, hi = question.start, question.end
    if lo is not None and hi is not None and hi <= lo:
        raise WindowEndsFirst(f"the window ends ({hi} ns) no later than it starts ({lo} ns)")
    first, last = recorded
    if question.capture:
        duration = trace.source.duration_ns
        if duration is None:
            raise NoCaptureTime(
                f"{trace.path}: --window capture needs ANALYSIS_DETAILS.duration, which is absent"
            )
        first, last = 0, duration
    if (lo is not None and lo >= last) or (hi is not None and hi <= first):
        return lo, hi  # all is cut away
    inner_lo = lo if lo is not None and lo > first else None
    inner_hi = hi if hi is not None and hi < last else None
    if not question.capture:
        return inner_lo, inner_hi
    return first if inner_lo is None else inner_lo, last if inner_hi is None else inner_hi


def known(values: NDArray[_T], rows: Int64) -> NDArray[_T]:
    """The value of each row, -1 where the row is -1; shape of `rows`."""
    if len(values) == 0:
        return np.full(len(rows), -1, values.dtype)
    found = values[rows]
    found[rows < 0] = -1
    return found


def gap_kinds(gaps: DeviceGaps, series: StepSeries) -> tuple[Code8, Int64]:
    """Kind of each gap for one series, and the step it belongs to (that of the operation after).

    Shapes (gaps,); the step is -1 for unassigned and boundary gaps.
    """
    step_before = known(series.step_of, gaps.before)
    step_after = known(series.step_of, gaps.after)
    kind = (step_before == step_after).astype(np.int8)  # INTRA is 1, INTER 0
    kind[(step_before < 0) | (step_after < 0)] = GapKind.UNASSIGNED
    kind[gaps.boundary] = GapKind.BOUNDARY
    step = step_after.astype(np.int64)
    step[kind > GapKind.INTRA] = -1
    return kind, step


def sum_by_kind(kind: Code8, length: Int64) -> Int64:
    """Nanoseconds by `GapKind`, shape (4,)."""
    return np.array([int(length[kind == k].sum()) for k in GapKind], np.int64)
