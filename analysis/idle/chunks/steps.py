"""The steps of a stored trace, and what they launched, a chunk of operations at a time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...model.arrays import Code, factorize
from ...model.intervals import Int64
from ...model.source import TORCH_PROFILER, Source
from ...model.trace import Ranges, Strings, Trace
from ...question import DEFAULT_STEP, StepPattern
from ...store.folder import Array
from ...store.layout import GROUPS
from ...store.opened import Store
from ..steps import PROFILER_STEP, Steps, find_steps
from .parts import NO_ROWS, Sizes, launches_of, no_operations, operations_of, part_of

FAR = np.iinfo(np.int64).max

Progress = Callable[[str, int, int], None]
"""Called with what is being done, and how many of how many rows of it are done."""


@dataclass(frozen=True)
class Launched:
    """What the steps of one series launched on one device. Arrays have shape (steps,)."""

    count: Int64
    gpu_start: Int64
    """First operation's start; the largest int64 for a step without one."""
    gpu_end: Int64
    first: Int64
    """Position of its first operation among the device's."""
    quiet: Int64
    """When the device fell quiet before that operation."""


@dataclass(frozen=True)
class Extent:
    """The operations of one device in the window."""

    operations: int
    first_start: int
    last_end: int


@dataclass(frozen=True)
class StepWalk:
    """What one pass over operations found. Keys of `launched`: (series, device)."""

    unassigned: int
    ambiguous: int
    by_time: tuple[int, ...]
    other_threads: tuple[dict[int, int], ...]
    launched: dict[tuple[int, int], Launched]
    extents: dict[int, Extent]


@dataclass(frozen=True)
class Resident:
    """The steps themselves, in memory; their `step_of` is empty."""

    steps: Steps
    matched: Ranges
    """Every range that matches a pattern, nested ones too."""
    patterns: tuple[StepPattern, ...]


def effective(patterns: tuple[StepPattern, ...], source: Source) -> tuple[StepPattern, ...]:
    """As `find_steps` takes them: torch.profiler marks its own steps."""
    if patterns == (DEFAULT_STEP,) and source.producer == TORCH_PROFILER:
        return (PROFILER_STEP,)
    return patterns


def matching_rows(
    names: Array, strings: Strings, patterns: tuple[StepPattern, ...], size: int
) -> Int64:
    """Rows of the ranges whose name matches a pattern; `size` names are looked at at once."""
    kept = [NO_ROWS]
    known: dict[int, bool] = {}
    for low in range(0, len(names), size):
        codes, ids = factorize(names[low : low + size].astype(np.int64))
        for string_id in ids.tolist():
            if string_id not in known:
                text = strings[string_id]
                known[string_id] = any(pattern.matches(text) for pattern in patterns)
        hit = np.array([known[i] for i in ids.tolist()], np.bool_)
        kept.append(low + np.flatnonzero(hit[codes]))
    return np.concatenate(kept)


def resident_steps(store: Store, patterns: tuple[StepPattern, ...], matched: Int64) -> Resident:
    """The steps of a store, from the rows of the ranges that match."""
    ranges = Ranges(**store.ranges.read(matched))
    part = part_of(store, no_operations(), NO_ROWS, ranges)
    return Resident(find_steps(part, patterns), ranges, patterns)


@dataclass(frozen=True)
class Owned:
    """Whose step each operation of a part is."""

    step_of: tuple[Code, ...]
    """For each resident series, shape (operations,): the step, -1 for none."""
    found: Steps
    """The part's own steps; not all series of the trace, and not all steps, are among them."""
    series: tuple[int, ...]
    """For each series of `found` the resident one."""


def owners(store: Store, resident: Resident, part: Trace) -> Owned:
    """Find the owners of a part's operations. Its calls hold the launches of all of them."""
    none = np.full(len(part.operations), -1, np.int32)
    series = resident.steps.series
    step_of = [none] * len(series)
    launch = part.operations.launch
    if not series or not (launch >= 0).any():
        # Nothing was launched: every operation is outside all steps.
        return Owned(tuple(step_of), Steps((), len(part.operations), 0), ())
    at = part.calls.start[launch[launch >= 0]]
    first, last = int(at.min()), int(at.max())
    matched = resident.matched
    near = (matched.start <= last) & (matched.end > first)
    ranges = Ranges(**{name: getattr(matched, name)[near] for name in GROUPS["ranges"]})
    found = find_steps(
        store.part(
            part.operations,
            {name: getattr(part.calls, name) for name in GROUPS["calls"] if name != "flags"}
            | {"flags": np.zeros(len(part.calls), np.uint8)},
            ranges,
            part.synchronizations,
            part.overheads,
        ),
        resident.patterns,
    )
    # Both lists are in the order of patterns, then threads; a part lacks some.
    place = 0
    places = []
    for one in found.series:
        # A wildcard and a regular expression may be the same text: their steps tell them apart.
        while True:
            whole = series[place]
            index = np.flatnonzero((whole.start <= last) & (whole.end > first))
            if (whole.pattern, whole.thread_index) == (one.pattern, one.thread_index) and (
                np.array_equal(whole.start[index], one.start)
            ):
                break
            place += 1
        table = np.append(index, -1).astype(np.int32)
        step_of[place] = table[one.step_of]
        places.append(place)
        place += 1
    return Owned(tuple(step_of), found, tuple(places))


class _Walker:
    """Adds up what the parts say."""

    def __init__(self, resident: Resident) -> None:
        self.series = resident.steps.series
        self.unassigned = self.ambiguous = 0
        self.by_time = [0] * len(self.series)
        self.other: list[Counter[int]] = [Counter() for _ in self.series]
        self.launched: dict[tuple[int, int], Launched] = {}
        self.extents: dict[int, Extent] = {}

    def add(self, part: Trace, owned: Owned) -> None:
        self.unassigned += owned.found.unassigned
        self.ambiguous += owned.found.ambiguous
        for one, place in zip(owned.found.series, owned.series, strict=True):
            self.by_time[place] += one.by_time
            self.other[place].update(one.other_threads)
        operations = part.operations
        devices = [int(operations.device[0])] if len(part.devices) == 1 else None
        for device in devices or np.unique(operations.device).tolist():
            rows = slice(None) if devices else np.flatnonzero(operations.device == device)
            start, end = operations.start[rows], operations.end[rows]
            before = self.extents.get(device)
            done = before.operations if before else 0
            reach = np.maximum.accumulate(end)
            if before:
                reach = np.maximum(reach, before.last_end)
            earlier = np.concatenate(([before.last_end if before else start[0]], reach[:-1]))
            for place, step_of in enumerate(owned.step_of):
                self._launched(
                    place, device, step_of[rows], start, end, np.minimum(earlier, start), done
                )
            self.extents[device] = Extent(
                done + len(start),
                before.first_start if before else int(start[0]),
                int(reach[-1]),
            )

    def _launched(
        self,
        place: int,
        device: int,
        step_of: Code,
        start: Int64,
        end: Int64,
        quiet: Int64,
        done: int,
    ) -> None:
        mine = np.flatnonzero(step_of >= 0)
        if len(mine) == 0:
            return
        owner = step_of[mine]
        table = self.launched.get((place, device))
        if table is None:
            n = len(self.series[place])
            table = Launched(
                np.zeros(n, np.int64), np.full(n, FAR), np.full(n, -FAR),
                np.full(n, FAR), np.zeros(n, np.int64),
            )  # fmt: skip
            self.launched[place, device] = table
        low, high = int(owner.min()), int(owner.max()) + 1
        table.count[low:high] += np.bincount(owner - low, minlength=high - low)
        np.minimum.at(table.gpu_start, owner, start[mine])
        np.maximum.at(table.gpu_end, owner, end[mine])
        # The first of each owner in this part, where no earlier part had one.
        heads, index = np.unique(owner, return_index=True)
        new = table.first[heads] == FAR
        heads, at = heads[new], mine[index[new]]
        table.first[heads] = done + at
        table.quiet[heads] = quiet[at]

    def result(self) -> StepWalk:
        others = tuple(dict(sorted(found.items())) for found in self.other)
        return StepWalk(
            self.unassigned, self.ambiguous, tuple(self.by_time), others, self.launched,
            self.extents,
        )  # fmt: skip


def walk_steps(
    store: Store,
    resident: Resident,
    rows: tuple[int, int],
    lo: int | None,
    hi: int | None,
    sizes: Sizes,
    progress: Progress,
) -> StepWalk:
    """One pass over the operations among `rows` that touch `[lo, hi)`."""
    walker = _Walker(resident)
    for low in range(rows[0], rows[1], sizes.operations):
        progress("steps", low - rows[0], rows[1] - rows[0])
        high = min(low + sizes.operations, rows[1])
        chosen = in_window(store, low, high, lo, hi)
        if len(chosen):
            operations = operations_of(store, chosen)
            part = part_of(store, operations, launches_of(operations))
            walker.add(part, owners(store, resident, part))
        store.forget()
    return walker.result()


def walk_whole(trace: Trace, steps: Steps) -> StepWalk:
    """The same from a trace that is in memory, and its steps."""
    walker = _Walker(Resident(steps, trace.ranges, ()))
    if len(trace.operations):
        step_of = tuple(one.step_of for one in steps.series)
        walker.add(trace, Owned(step_of, steps, tuple(range(len(steps.series)))))
    return walker.result()


def in_window(store: Store, low: int, high: int, lo: int | None, hi: int | None) -> Int64:
    """Which of the operations `[low, high)` touch `[lo, hi)`."""
    rows = np.arange(low, high)
    if lo is not None:
        rows = rows[store.operations.one(slice(low, high), "end") > lo]
    if hi is not None:
        rows = rows[store.operations.one(rows, "start") < hi]
    return rows
