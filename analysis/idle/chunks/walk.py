"""The gaps of a stored trace, a chunk of operations at a time.

A chunk is a stretch of operations, sorted by start, and of each device the operation that reached
furthest before it: a gap belongs to the chunk of the operation after it. After the last chunk each
device's last operation stands alone, for the gap at the end of the window.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

import numpy as np

from ...model.arrays import Bool, Code, factorize
from ...model.intervals import Int64
from ...model.names import operation_name
from ...model.schema import MAX_TIME, Kind
from ...model.trace import Operations, Trace
from ...question import Question
from ...store.opened import Store
from ..causes import causes
from ..details import TopGap, longest
from ..figures import COMMUNICATION
from ..gaps import DeviceGaps, GapKind, device_gaps, gap_kinds
from ..steps import Steps, StepSeries
from .causes import Drains, Split, split_gaps
from .counted import Facts
from .cover import Cover
from .definitions import NvidiaRule
from .parts import Sizes, launches_of, operations_of, part_of
from .sample import Sample
from .steps import Progress, Resident, StepWalk, in_window, owners
from .totals import DeviceTotals, SeriesTotals


@dataclass(frozen=True)
class Narrowed:
    """The steps that are looked at, out of all of the trace."""

    steps: Steps
    """Their `step_of` is empty."""
    place: tuple[int, ...]
    """For each of their series the resident one."""
    wanted: tuple[Bool, ...]
    """Which steps of that one they are."""

    def step_of(self, k: int, owner: Code) -> Code:
        """From a resident series' steps to those of the `k`-th narrowed one."""
        wanted = self.wanted[k]
        index = np.append(np.where(wanted, np.cumsum(wanted) - 1, -1), -1).astype(np.int32)
        step_of: Code = index[owner]
        return step_of


@dataclass
class Totals:
    """All that the walk adds up."""

    devices: dict[int, DeviceTotals]
    series: dict[tuple[int, int], SeriesTotals]
    """By position among the narrowed series, and device."""
    everywhere: Cover
    nvidia: dict[int, NvidiaRule]
    drains: Drains


class GapWalk:
    """One pass over the operations of a window."""

    def __init__(
        self,
        store: Store,
        resident: Resident,
        narrowed: Narrowed,
        walked: StepWalk,
        facts: Facts,
        devices: tuple[int, ...],
        bounds: tuple[int | None, int | None],
        question: Question,
        sizes: Sizes,
    ) -> None:
        self.store, self.resident, self.narrowed = store, resident, narrowed
        self.released = facts.by_stream()
        self.lo, self.hi = bounds
        self.question, self.sizes = question, sizes
        self.has_graphs = facts.counted.graphs > 0
        count = len(causes())
        # Beside the store there is room for large files; a cache may be read-only.
        spills = str(store.folder) if os.access(store.folder, os.W_OK) else None
        self.totals = Totals(
            devices={
                device: DeviceTotals(
                    store.devices[device],
                    walked.extents[device].first_start if self.lo is None else self.lo,
                    walked.extents[device].last_end if self.hi is None else self.hi,
                    walked.extents[device].operations,
                    np.zeros(count, np.int64),
                    np.zeros(count, np.int64),
                    Sample(max(sizes.operations, 1 << 16), spills),
                )
                for device in devices
            },
            series={
                (k, device): SeriesTotals(
                    walked.launched[k, device],
                    count,
                    -MAX_TIME if self.lo is None else self.lo,
                )
                for k in range(len(narrowed.place))
                for device in devices
                if (k, device) in walked.launched
            },
            everywhere=Cover(),
            nvidia={},
            drains=Drains(store, sizes),
        )
        self.carry: dict[int, int] = {}
        """Device to the row of the operation that reached furthest so far."""

    def run(self, rows: tuple[int, int], progress: Progress) -> Totals:
        if self.question.definitions:
            self._extents_for_nvidia(rows)
        size = self.sizes.operations
        for low in range(rows[0], rows[1], size):
            progress("gaps", low - rows[0], rows[1] - rows[0])
            high = min(low + size, rows[1])
            chosen = in_window(self.store, low, high, self.lo, self.hi)
            if len(self.totals.devices) < len(self.store.devices):
                device = self.store.operations.one(chosen, "device")
                chosen = chosen[np.isin(device, list(self.totals.devices))]
            if len(chosen):
                self._chunk(chosen)
            self.store.forget()
        self._end()
        return self.totals

    def _chunk(self, chosen: Int64) -> None:
        carried = np.array(sorted(self.carry.values()), np.int64)
        rows = np.concatenate((carried, chosen))
        operations = operations_of(self.store, rows)
        part = part_of(self.store, operations, launches_of(operations))
        step_of = owners(self.store, self.resident, part).step_of
        seen = int(operations.start[-1])
        fresh = len(carried)
        for device in np.unique(operations.device[fresh:]).tolist():
            gaps = self._gaps(part, device, self.lo if device not in self.carry else None, None)
            self._add(part, operations, step_of, gaps, seen)
            mine = np.flatnonzero(operations.device == device)
            self.carry[device] = int(rows[mine[np.argmax(operations.end[mine])]])
            self._covers(part, device, mine[mine >= fresh])
        start, end = self._clipped(operations.start[fresh:], operations.end[fresh:])
        self.totals.everywhere.add(start, end)

    def _gaps(self, part: Trace, device: int, lo: int | None, hi: int | None) -> DeviceGaps:
        gaps = device_gaps(part, self.store.devices[device], lo, hi)
        assert gaps is not None
        return gaps

    def _end(self) -> None:
        """The gap between a device's last operation and the end of the window."""
        for device, row in self.carry.items():
            operations = operations_of(self.store, np.array([row]))
            part = part_of(self.store, operations, launches_of(operations))
            step_of = owners(self.store, self.resident, part).step_of
            gaps = self._gaps(part, device, None, self.hi)
            self._add(part, operations, step_of, gaps, np.iinfo(np.int64).max)

    def _add(
        self,
        part: Trace,
        operations: Operations,
        step_of: tuple[Code, ...],
        gaps: DeviceGaps,
        seen: int,
    ) -> None:
        total = self.totals.devices[gaps.device.index]
        split = split_gaps(self.store, operations, gaps, self.released, self.sizes)
        assert np.array_equal(split.time.sum(axis=0), gaps.length)
        drains = self.totals.drains.labels(split.drained_by)
        total.add(gaps, split, drains)
        self._skew(total, part, gaps)
        kinds = []
        for k, place in enumerate(self.narrowed.place):
            whole = self.narrowed.steps.series[k]
            series = replace(whole, step_of=self.narrowed.step_of(k, step_of[place]))
            kind, step = gap_kinds(gaps, series)
            kinds.append((series, kind, step))
            known = self.totals.series.get((k, gaps.device.index))
            if known:
                known.add(gaps, split, kind, step, drains, seen)
        if self.question.top:
            self._top(total, part, gaps, split, kinds)

    def _skew(self, total: DeviceTotals, part: Trace, gaps: DeviceGaps) -> None:
        after = gaps.after[gaps.after >= 0]
        launch = part.operations.launch[after]
        known = launch >= 0
        skew = part.calls.start[launch[known]] - part.operations.start[after[known]]
        total.skewed += int(np.count_nonzero(skew > 0))
        total.skew_ns = max(total.skew_ns, int(skew.max(initial=0)))

    def _top(
        self,
        total: DeviceTotals,
        part: Trace,
        gaps: DeviceGaps,
        split: Split,
        kinds: list[tuple[StepSeries, np.ndarray, Int64]],
    ) -> None:
        count = self.question.top
        least = total.top[-1].length_ns if len(total.top) == count else -1
        for k in longest(gaps.length, count):
            if gaps.length[k] <= least:
                break  # an earlier gap of that length goes first
            of_kind, number = "unassigned", None
            for series, kind, step in kinds:
                if kind[k] != GapKind.UNASSIGNED:
                    number = int(series.number[step[k]]) if step[k] >= 0 else None
                    of_kind = GapKind(int(kind[k])).name.lower()
                    break
            drain = split.drained_by[k : k + 1]
            name = int(self.store.calls.one(drain, "name")[0]) if drain[0] >= 0 else -1
            sides = (int(gaps.before[k]), int(gaps.after[k]))
            total.top.append(
                TopGap(
                    int(gaps.start[k]),
                    int(gaps.length[k]),
                    of_kind,
                    number,
                    split.causes[int(split.time[:, k].argmax())].name,
                    self.store.names[name] if name >= 0 else "",
                    *(operation_name(part, row) if row >= 0 else None for row in sides),
                )
            )
        total.top.sort(key=lambda gap: (-gap.length_ns, gap.start_ns))
        del total.top[count:]

    def _clipped(self, start: Int64, end: Int64) -> tuple[Int64, Int64]:
        return (
            start if self.lo is None else np.maximum(start, self.lo),
            end if self.hi is None else np.minimum(end, self.hi),
        )

    def _covers(self, part: Trace, device: int, rows: Int64) -> None:
        """What is measured of some kinds of operations alone; `rows`: those that are new."""
        total, operations = self.totals.devices[device], part.operations
        start, end = self._clipped(operations.start[rows], operations.end[rows])
        kind = operations.kind[rows]
        codes, ids = factorize(operations.name[rows])
        named = [bool(COMMUNICATION.search(part.strings[i])) for i in ids.tolist()]
        if any(named):
            mask = np.array(named)[codes]
            total.communication.add(start[mask], end[mask])
        if self.has_graphs:
            mask = kind != Kind.GRAPH
            total.not_graphs.add(start[mask], end[mask])
        if self.question.definitions:
            mask = kind == Kind.KERNEL
            total.kernels.add(start[mask], end[mask])
            self.totals.nvidia[device].add(operations, rows, start, end)
        if self.question.definitions or self.question.streams:
            keys = np.stack((operations.process[rows].astype(np.int64), operations.stream[rows]))
            distinct, which = np.unique(keys, axis=1, return_inverse=True)
            for k, key in enumerate(distinct.T.tolist()):
                mask = which.ravel() == k
                total.streams.setdefault((key[0], key[1]), Cover()).add(start[mask], end[mask])

    def _extents_for_nvidia(self, rows: tuple[int, int]) -> None:
        """NVIDIA's rule asks which overheads lie inside a process's work: that comes first."""
        nvidia = self.totals.nvidia
        nvidia.update({device: NvidiaRule(self.store) for device in self.totals.devices})
        for low in range(rows[0], rows[1], self.sizes.operations):
            high = min(low + self.sizes.operations, rows[1])
            chosen = in_window(self.store, low, high, self.lo, self.hi)
            operations = operations_of(self.store, chosen)
            start, end = self._clipped(operations.start, operations.end)
            for device, rule in nvidia.items():
                mine = np.flatnonzero(operations.device == device)
                rule.extend(operations, mine, start[mine], end[mine])
            self.store.forget()
