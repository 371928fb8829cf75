"""Figures that are only worked out where somebody asks: the longest gaps, streams, definitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from operator import itemgetter

import numpy as np
from msgspec import Struct

from ..model.arrays import Code8
from ..model.intervals import Int64
from ..model.names import operation_name
from ..model.schema import pid_of
from ..model.streams import context_numbers, recorded_number
from ..model.trace import Trace
from ..question import Question
from ..store.opened import Store
from .attribute import Attribution
from .causes import causes
from .definitions import Clipped, Definition, OtherDefinitions, Streams, add_streams
from .drains import wait_name
from .gaps import DeviceGaps, GapKind, gap_kinds
from .split import Split
from .steps import Steps, StepSeries


class TopGap(Struct, frozen=True):
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


class StreamFigures(Struct, frozen=True):
    """One stream on its own, inside the window."""

    pid: int
    stream: int
    """The recorder's number."""
    context: int | None
    """As `streams.context_numbers` has it, among the streams of the process on this device."""
    operations: int
    extent_ns: int
    busy_ns: int
    idle_ns: int
    gaps: int


class DeviceDetails(Struct, frozen=True):
    """What is wanted of one device."""

    touched: dict[str, int]
    """Gaps that have time of each cause."""
    top: tuple[TopGap, ...] = ()
    streams: tuple[StreamFigures, ...] = ()
    definitions: tuple[Definition, ...] = ()


Kinds = Sequence[tuple[StepSeries, Code8, Int64]]
"""Each series, and of each gap its kind and its step as `gap_kinds` gives them."""


def _by_number(stream: tuple[tuple[int, int], object]) -> tuple[int, int, int]:
    """Streams of one number stand together."""
    process, name = stream[0]
    return process, recorded_number(name), name


class DetailTotals:
    """Adds up the parts of one device."""

    def __init__(self, source: Trace | Store, question: Question) -> None:
        self._source, self._question = source, question
        self._touched = np.zeros(len(causes()), np.int64)
        self._top: list[TopGap] = []
        self._streams = Streams()
        self._others: OtherDefinitions | None = None
        if question.definitions:
            self._others = OtherDefinitions(source.overheads, source.strings)

    def extend(self, found: Clipped) -> None:
        """Before any is added, all parts are shown: see `OtherDefinitions`."""
        if self._others:
            self._others.extend(found)

    def add(
        self,
        trace: Trace,
        gaps: DeviceGaps,
        split: Split | Attribution,
        kinds: Kinds,
        found: Clipped,
        call_name: Callable[[int], str],
    ) -> None:
        """Gaps, and the operations that are new; `call_name`: of a row of the calls that
        `split.drained_by` counts by."""
        for k in split.used:
            self._touched[k] += np.count_nonzero(split.time[k])
        if self._question.streams or self._others:
            add_streams(self._streams, found)
        if self._others:
            self._others.add(found, gaps.length)
        count = self._question.top
        least = self._top[-1].length_ns if len(self._top) == count > 0 else -1
        for k in longest(gaps.length, count):
            if gaps.length[k] <= least:
                break  # an earlier gap of that length goes first
            self._top.append(_top_gap(trace, gaps, split, kinds, k, call_name))
        self._top.sort(key=lambda gap: (-gap.length_ns, gap.start_ns))
        del self._top[count:]

    def result(self, idle: int, gaps: int, window: int) -> DeviceDetails:
        """`idle`, `window`: of the device, ns; `gaps`: how many it has."""
        names = (cause.name for cause in causes())
        streams = dict(sorted(self._streams.items(), key=_by_number))
        contexts = [
            context
            for _, mine in groupby(streams, key=itemgetter(0))
            for context in context_numbers([stream for _, stream in mine])
        ]
        shown = (
            StreamFigures(
                pid_of(self._source.processes[process]), recorded_number(stream), context,
                one.count, one.extent, one.busy, one.idle, one.gaps,
            )
            for context, ((process, stream), one) in zip(contexts, streams.items(), strict=True)
        )  # fmt: skip
        return DeviceDetails(
            touched=dict(zip(names, self._touched.tolist(), strict=True)),
            top=tuple(self._top),
            streams=tuple(shown) if self._question.streams else (),
            definitions=self._others.result(idle, gaps, window, streams) if self._others else (),
        )


def device_details(
    trace: Trace, gaps: DeviceGaps, split: Attribution, steps: Steps, question: Question
) -> DeviceDetails:
    """Work out what is wanted of one device of a trace in memory."""
    totals = DetailTotals(trace, question)
    found = Clipped.to(trace.operations, gaps.rows, gaps.window_start, gaps.window_end)
    totals.extend(found)
    kinds = [(one, *gap_kinds(gaps, one)) for one in steps.series if question.top]
    calls = trace.calls
    totals.add(trace, gaps, split, kinds, found, lambda row: calls.names[calls.name[row]])
    return totals.result(gaps.idle_ns, len(gaps), gaps.window_ns)


def longest(length: Int64, count: int) -> list[int]:
    """The longest gaps, longest first; of equal ones the earlier."""
    rows = np.arange(len(length))
    if 0 < count < len(length):  # sort no more than could be asked for
        rows = np.flatnonzero(length >= np.partition(length, -count)[-count])
    order: list[int] = rows[np.argsort(-length[rows], kind="stable")][:count].tolist()
    return order


def _top_gap(
    trace: Trace,
    gaps: DeviceGaps,
    split: Split | Attribution,
    kinds: Kinds,
    k: int,
    call_name: Callable[[int], str],
) -> TopGap:
    drain = int(split.drained_by[k])
    sides = (int(gaps.before[k]), int(gaps.after[k]))
    before, after = (operation_name(trace, row) if row >= 0 else None for row in sides)
    return TopGap(
        int(gaps.start[k]),
        int(gaps.length[k]),
        *_of_step(kinds, k),
        causes()[int(split.time[:, k].argmax())].name,
        wait_name(drain, call_name),
        before,
        after,
    )


def _of_step(kinds: Kinds, gap: int) -> tuple[str, int | None]:
    """Kind of a gap and number of its step, seen from the first series that knows it."""
    for one, kind, step in kinds:
        if kind[gap] != GapKind.UNASSIGNED:
            number = int(one.number[step[gap]]) if step[gap] >= 0 else None
            return GapKind(int(kind[gap])).name.lower(), number
    return "unassigned", None
