"""What the steps of a trace launched, added up over its parts."""

from __future__ import annotations

from collections import Counter

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool, Code, groups
from ..model.intervals import Int64
from ..model.trace import Trace
from .assign import Owned
from .gaps import DeviceGaps
from .parts import Part, Parts
from .steps import StepSeries

FAR = np.iinfo(np.int64).max

LAUNCHERS_SHARE = 0.05
"""Of the work of a series on a device, what a thread launches that is one of its launchers: a
thread that now and then copies something is none."""


class Launched(Struct, frozen=True, eq=False):
    """What the steps of one series launched on one device. Arrays have shape (steps,)."""

    count: Int64
    gpu_start: Int64
    """First operation's start; the largest int64 for a step without one."""
    gpu_end: Int64
    first: Int64
    """Position of its first operation among the device's."""
    quiet: Int64
    """When the device fell quiet before that operation."""
    threads: tuple[int, ...] = ()
    """The threads that launched it: those whose work runs for `LAUNCHERS_SHARE` of it or more."""

    @classmethod
    def none(cls, steps: int) -> Launched:
        zero, far = np.zeros(steps, np.int64), np.full(steps, FAR)
        return cls(zero, far, -far, far.copy(), zero.copy())

    def only(self, wanted: Bool) -> Launched:
        """The same for some of the steps."""
        names = ("count", "gpu_start", "gpu_end", "first", "quiet")
        return replace(self, **{name: getattr(self, name)[wanted] for name in names})


class Extent(Struct, frozen=True):
    """The operations of one device in the window."""

    operations: int
    first_start: int
    last_end: int


class Launches(Struct, frozen=True):
    """What one walk over operations found. Keys of `launched`: (series, device)."""

    unassigned: int
    ambiguous: int
    by_time: tuple[int, ...]
    other_threads: tuple[dict[int, int], ...]
    launched: dict[tuple[int, int], Launched]
    extents: dict[int, Extent]

    def alive(self, series: int, steps: int) -> Bool:
        """Which steps of a series, which has so many, launched anything."""
        found = np.zeros(steps, np.bool_)
        for (place, _), launched in self.launched.items():
            if place == series:
                found |= launched.count > 0
        return found


class LaunchTotals:
    """Adds up the parts of a trace, in which nothing is carried over."""

    def __init__(self, series: tuple[StepSeries, ...]) -> None:
        self._series = series
        self._unassigned = self._ambiguous = 0
        self._by_time = [0] * len(series)
        self._other: list[Counter[int]] = [Counter() for _ in series]
        self._launched: dict[tuple[int, int], Launched] = {}
        self._threads: dict[tuple[int, int], Counter[int]] = {}
        self._extents: dict[int, Extent] = {}

    def add(self, part: Part) -> None:
        owned = part.owned
        self._unassigned += owned.unassigned
        self._ambiguous += owned.ambiguous
        for place, others in enumerate(owned.other_threads):
            self._by_time[place] += owned.by_time[place]
            self._other[place].update(others)
        for device in part.devices:
            self._add_device(part, device, owned)

    def _add_device(self, part: Part, device: int, owned: Owned) -> None:
        rows, operations = part.rows_of(device), part.operations
        start, end = operations.start[rows], operations.end[rows]
        trace = part.trace
        launch = trace.operations.launch[rows]
        before = self._extents.get(device, Extent(0, int(start[0]), int(start[0])))
        # How far the device's work reached before each operation, and after the last.
        reach = np.maximum.accumulate(np.concatenate(([before.last_end], end)))
        for place, step_of in enumerate(owned.step_of):
            mine = np.flatnonzero(step_of[rows] >= 0)
            if len(mine):
                key = place, device
                if key not in self._launched:
                    self._launched[key] = Launched.none(len(self._series[place]))
                    self._threads[key] = Counter()
                found = self._launched[key]
                known = mine[launch[mine] >= 0]
                length = (end - start)[known]
                for thread, some in groups(trace.calls.thread[launch[known]]):
                    self._threads[key][thread] += int(length[some].sum())
                _add_steps(found, step_of[rows][mine], mine, start, end, reach, before.operations)
        total = before.operations + len(start)
        self._extents[device] = Extent(total, before.first_start, int(reach[-1]))

    def result(self) -> Launches:
        others = tuple(dict(sorted(found.items())) for found in self._other)
        launched = {
            key: replace(found, threads=_launchers(self._threads[key]))
            for key, found in self._launched.items()
        }
        return Launches(
            self._unassigned, self._ambiguous, tuple(self._by_time), others, launched,
            self._extents,
        )  # fmt: skip


def _launchers(ns: Counter[int]) -> tuple[int, ...]:
    """Of threads with so much work, those that matter."""
    least = LAUNCHERS_SHARE * ns.total()
    return tuple(sorted(thread for thread, spent in ns.items() if spent >= least))


def _add_steps(
    table: Launched, owner: Code, at: Int64, start: Int64, end: Int64, reach: Int64, done: int
) -> None:
    """Add operations, the `owner`s' at positions `at` of a device's part, to a table in place.
    `done`: operations of the device in earlier parts."""
    low, high = int(owner.min()), int(owner.max()) + 1
    table.count[low:high] += np.bincount(owner - low, minlength=high - low)
    np.maximum.at(table.gpu_end, owner, end[at])
    # The first of each owner in this part, where no earlier part had one: written last.
    first = np.full(high - low, -1, np.int64)
    first[owner[::-1] - low] = at[::-1]
    new = np.flatnonzero((first >= 0) & (table.first[low:high] == FAR))
    heads, place = first[new], low + new
    table.first[place] = done + heads
    table.gpu_start[place] = start[heads]
    table.quiet[place] = np.minimum(reach[heads], start[heads])


def find_launches(parts: Parts, lo: int | None = None, hi: int | None = None) -> Launches:
    """What the steps launched of the operations that touch `[lo, hi)`."""
    totals = LaunchTotals(parts.steps.steps.series)
    for part in parts.walk("steps", lo, hi):
        totals.add(part)
    return totals.result()


def launched_on(trace: Trace, gaps: DeviceGaps, series: StepSeries) -> Launched:
    """What the steps of a trace in memory launched on the device of these gaps, in their window."""
    found = Launched.none(len(series))
    owner = series.step_of[gaps.rows]
    mine = np.flatnonzero(owner >= 0)
    if len(mine):
        start, end = trace.operations.start[gaps.rows], trace.operations.end[gaps.rows]
        reach = np.maximum.accumulate(np.concatenate((start[:1], end)))
        _add_steps(found, owner[mine], mine, start, end, reach, 0)
    return found
