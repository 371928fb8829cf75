"""Figures that are only worked out where somebody asks: the longest gaps, streams, definitions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..model.intervals import Int64, complement, union
from ..model.names import operation_name
from ..model.schema import pid_of
from ..model.trace import Trace
from ..question import Question
from .attribute import Attribution
from .definitions import Definition, compare_definitions, streams
from .gaps import DeviceGaps, GapKind, gap_kinds
from .steps import Steps


@dataclass(frozen=True)
class TopGap:
    """One of the longest gaps, with the operations on both sides."""

    start_ns: int
    length_ns: int
    kind: str
    step: int | None
    """Number of its step, where it has one."""
    cause: str
    """The one that most of it had."""
    drained_by: str
    """Name of the call, empty for none."""
    before: str | None
    """Names of the operations; None at the edge of the window."""
    after: str | None


@dataclass(frozen=True)
class StreamFigures:
    """One stream on its own, inside the window."""

    pid: int
    stream: int
    operations: int
    extent_ns: int
    busy_ns: int
    idle_ns: int
    gaps: int


@dataclass(frozen=True)
class DeviceDetails:
    """What is wanted of one device."""

    touched: dict[str, int]
    """Gaps that have time of each cause."""
    top: tuple[TopGap, ...] = ()
    streams: tuple[StreamFigures, ...] = ()
    definitions: tuple[Definition, ...] = ()


def device_details(
    trace: Trace, gaps: DeviceGaps, split: Attribution, steps: Steps, question: Question
) -> DeviceDetails:
    """Work out what is wanted of one device."""
    counts = np.count_nonzero(split.time, axis=1).tolist()
    return DeviceDetails(
        {cause.name: count for cause, count in zip(split.causes, counts, strict=True)},
        top_gaps(trace, gaps, split, steps, question.top) if question.top else (),
        _streams(trace, gaps) if question.streams else (),
        compare_definitions(trace, gaps) if question.definitions else (),
    )


def longest(length: Int64, count: int) -> list[int]:
    """The longest gaps, longest first; of equal ones the earlier."""
    rows = np.arange(len(length))
    if 0 < count < len(length):  # sort no more than could be asked for
        rows = np.flatnonzero(length >= np.partition(length, -count)[-count])
    order: list[int] = rows[np.argsort(-length[rows], kind="stable")][:count].tolist()
    return order


def top_gaps(
    trace: Trace, gaps: DeviceGaps, split: Attribution, steps: Steps, count: int
) -> tuple[TopGap, ...]:
    """The `count` longest gaps, longest first; of equal ones the earlier."""
    kinds = [gap_kinds(gaps, one) for one in steps.series]
    calls = trace.calls
    found = []
    for k in longest(gaps.length, count):
        drain = int(split.drained_by[k])
        sides = (int(gaps.before[k]), int(gaps.after[k]))
        before, after = (operation_name(trace, row) if row >= 0 else None for row in sides)
        found.append(
            TopGap(
                int(gaps.start[k]),
                int(gaps.length[k]),
                *_of_step(steps, kinds, k),
                split.causes[int(split.time[:, k].argmax())].name,
                calls.names[calls.name[drain]] if drain >= 0 else "",
                before,
                after,
            )
        )
    return tuple(found)


def _of_step(
    steps: Steps, kinds: list[tuple[np.ndarray, Int64]], gap: int
) -> tuple[str, int | None]:
    """Kind of a gap and number of its step, seen from the first series that knows it."""
    for (kind_of, step_of), one in zip(kinds, steps.series, strict=True):
        if kind_of[gap] != GapKind.UNASSIGNED:
            step = int(one.number[step_of[gap]]) if step_of[gap] >= 0 else None
            return GapKind(int(kind_of[gap])).name.lower(), step
    return "unassigned", None


def _streams(trace: Trace, gaps: DeviceGaps) -> tuple[StreamFigures, ...]:
    operations = trace.operations
    found = []
    for process, number, mine in streams(trace, gaps):
        busy = union(
            np.maximum(operations.start[mine], gaps.window_start),
            np.minimum(operations.end[mine], gaps.window_end),
        )
        lo, hi = int(busy.start[0]), int(busy.end[-1])
        idle = complement(busy, lo, hi)
        pid = pid_of(trace.processes[process])
        found.append(
            StreamFigures(pid, number, len(mine), hi - lo, busy.total, idle.total, len(idle))
        )
    return tuple(found)
