"""The same trace under other people's definitions of idle, side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool, factorize, groups
from ..model.intervals import Int64
from ..model.schema import Kind
from ..model.trace import Operations, Overheads, Strings
from .cover import Cover

NVIDIA_OVERHEAD = ("CUDA profiling data flush", "CUDA profiling stop")
"""NVIDIA's gpu_gaps rule counts these overhead rows as busy."""
NVIDIA_NOTE = (
    "per process, no graph rows, profiler flushes busy (shown without its 500 ms threshold)"
)


class Definition(Struct, frozen=True):
    """Idle time of one device under one definition."""

    name: str
    note: str
    idle_ns: int
    gaps: int
    window_ns: int


class Clipped(Struct, frozen=True, eq=False):
    """Operations of one device inside its window. Arrays have shape (n,), `start` ascending."""

    operations: Operations
    rows: Int64 | slice
    start: Int64
    end: Int64

    @classmethod
    def to(cls, operations: Operations, rows: Int64 | slice, lo: int, hi: int) -> Clipped:
        """These rows, cut to `[lo, hi)`."""
        start = np.maximum(operations.start[rows], lo)
        return cls(operations, rows, start, np.minimum(operations.end[rows], hi))


Streams = dict[tuple[int, int], Cover]
"""(process index, stream id) to what its operations cover."""


def add_streams(streams: Streams, found: Clipped) -> None:
    """Add some operations, each to its stream."""
    # To tell process and stream by one number is much cheaper than by unique pairs.
    stream, ids = factorize(found.operations.stream[found.rows])
    process = found.operations.process[found.rows].astype(np.int64)
    for number, mine in groups(process * max(len(ids), 1) + stream):
        owner, k = divmod(number, len(ids))
        cover = streams.setdefault((owner, int(ids[k])), Cover())
        cover.add(found.start[mine], found.end[mine])


class OtherDefinitions:
    """Adds up the parts of one device; every one differs from ours in one way.

    First every part is shown to `extend`, then every one again to `add`.
    """

    def __init__(self, overheads: Overheads, strings: Strings) -> None:
        self._long_ns = self._long = 0
        self._kernels = Cover()
        self._nvidia = _NvidiaRule(overheads, strings)

    def extend(self, found: Clipped) -> None:
        """Learn how far the device's work goes."""
        self._nvidia.extend(found)

    def add(self, found: Clipped, gaps: Int64) -> None:
        """`gaps`: lengths of those that end at these operations, ns."""
        # Of a graph recorded whole nobody knows which of its time is kernels: it is busy, as ours.
        kind = found.operations.kind[found.rows]
        kernels = (kind == Kind.KERNEL) | (kind == Kind.GRAPH)
        self._kernels.add(found.start[kernels], found.end[kernels])
        self._nvidia.add(found)
        long = gaps > 1_000_000
        self._long_ns += int(gaps[long].sum())
        self._long += int(np.count_nonzero(long))

    def result(
        self, idle: int, gaps: int, window: int, streams: Mapping[tuple[int, int], Cover]
    ) -> tuple[Definition, ...]:
        """Ours first, of which the numbers are given."""
        kernels, each = self._kernels, streams.values()
        long = (self._long_ns, self._long)
        return (
            Definition("harness", "no operation runs on the device", idle, gaps, window),
            Definition("over-1-ms", "only gaps longer than 1 ms", *long, window),
            Definition(
                "kernels-only", "copies and memsets count as idle",
                kernels.idle, kernels.gaps, kernels.extent,
            ),
            Definition(
                "per-stream", f"each stream on its own, added up ({len(each)})",
                sum(s.idle for s in each), sum(s.gaps for s in each), sum(s.extent for s in each),
            ),
            self._nvidia.result(),
        )  # fmt: skip


class _NvidiaRule:
    """nsys's gpu_gaps (gpu-starv) rule: per process, graph rows unseen, its overhead busy."""

    def __init__(self, overheads: Overheads, strings: Strings) -> None:
        codes, ids = factorize(overheads.name)
        named = [strings[i].startswith(NVIDIA_OVERHEAD) for i in ids.tolist()]
        order = np.flatnonzero(np.array(named, np.bool_)[codes])
        order = order[np.argsort(overheads.start[order], kind="stable")]
        self._process, self._start = overheads.process[order], overheads.start[order]
        self._end = overheads.end[order]
        self._extent: dict[int, tuple[int, int]] = {}
        self._covers: dict[int, Cover] = {}
        self._fed: dict[int, int] = {}

    @staticmethod
    def _seen(found: Clipped) -> list[tuple[int, Int64]]:
        """Positions of the operations that count, by process."""
        operations, rows = found.operations, found.rows
        # Its test is on the recorded start, not on what a window leaves of it.
        seen: Bool = (operations.kind[rows] != Kind.GRAPH) & (operations.start[rows] > 0)
        chosen = np.flatnonzero(seen)
        return [(k, chosen[mine]) for k, mine in groups(operations.process[rows][chosen])]

    def extend(self, found: Clipped) -> None:
        for k, mine in self._seen(found):
            lo, hi = self._extent.get(k, (int(found.start[mine[0]]), 0))
            self._extent[k] = lo, max(hi, int(found.end[mine].max()))

    def add(self, found: Clipped) -> None:
        for k, mine in self._seen(found):
            self._feed(k, found.start[mine], found.end[mine], int(found.start[mine[-1]]))

    def _feed(self, process: int, start: Int64, end: Int64, until: int) -> None:
        lo, hi = self._extent[process]
        inside = (self._process == process) & (self._start > lo) & (self._end < hi)
        inside &= (self._start > self._fed.get(process, lo)) & (self._start <= until)
        start = np.concatenate((start, self._start[inside]))
        end = np.concatenate((end, self._end[inside]))
        order = np.argsort(start, kind="stable")
        self._covers.setdefault(process, Cover()).add(start[order], end[order])
        self._fed[process] = max(until, lo)

    def result(self) -> Definition:
        none = np.empty(0, np.int64)
        for process, (_, hi) in self._extent.items():
            self._feed(process, none, none, hi)
        covers = self._covers.values()
        return Definition(
            "nsys-gpu-gaps",
            NVIDIA_NOTE,
            sum(c.idle for c in covers),
            sum(c.gaps for c in covers),
            sum(c.extent for c in covers),
        )
