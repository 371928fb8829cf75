"""Other people's definitions of idle, added up over chunks."""

from __future__ import annotations

import numpy as np

from ...model.arrays import Bool
from ...model.intervals import Int64
from ...model.schema import Kind
from ...model.trace import Operations
from ...store.opened import Store
from ..definitions import NVIDIA_NOTE, NVIDIA_OVERHEAD, Definition
from .cover import Cover


class NvidiaRule:
    """nsys's gpu_gaps on one device: per process, graph rows unseen, its overhead busy.

    First every chunk is shown to `extend`, which learns how far each process's work goes, then
    every chunk again to `add`.
    """

    def __init__(self, store: Store) -> None:
        rows = store.overheads
        flush = [store.strings[i].startswith(NVIDIA_OVERHEAD) for i in rows.name.tolist()]
        order = np.flatnonzero(np.array(flush, np.bool_))
        order = order[np.argsort(rows.start[order], kind="stable")]
        self._process, self._start = rows.process[order], rows.start[order]
        self._end = rows.end[order]
        self._extent: dict[int, tuple[int, int]] = {}
        self._covers: dict[int, Cover] = {}
        self._fed: dict[int, int] = {}

    @staticmethod
    def _seen(operations: Operations, rows: Int64) -> Bool:
        # Its test is on the recorded start, not on what a window leaves of it.
        seen: Bool = (operations.kind[rows] != Kind.GRAPH) & (operations.start[rows] > 0)
        return seen

    def extend(self, operations: Operations, rows: Int64, start: Int64, end: Int64) -> None:
        """`start`, `end`: of these rows, clipped to the window."""
        seen, process = self._seen(operations, rows), operations.process[rows]
        for k in np.unique(process[seen]).tolist():
            mine = seen & (process == k)
            lo, hi = self._extent.get(k, (int(start[mine].min()), 0))
            self._extent[k] = min(lo, int(start[mine].min())), max(hi, int(end[mine].max()))

    def add(self, operations: Operations, rows: Int64, start: Int64, end: Int64) -> None:
        """The same rows again."""
        seen, process = self._seen(operations, rows), operations.process[rows]
        for k in np.unique(process[seen]).tolist():
            mine = seen & (process == k)
            self._feed(k, start[mine], end[mine], int(start[mine].max()))

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
        for process, (_, hi) in self._extent.items():
            self._feed(process, np.empty(0, np.int64), np.empty(0, np.int64), hi)
        covers = self._covers.values()
        return Definition(
            "nsys-gpu-gaps",
            NVIDIA_NOTE,
            sum(c.idle for c in covers),
            sum(c.gaps for c in covers),
            sum(c.extent for c in covers),
        )


def definitions(
    idle: tuple[int, int], over_1ms: tuple[int, int], kernels: Cover, streams: list[Cover],
    nvidia: NvidiaRule, window: int,
) -> tuple[Definition, ...]:  # fmt: skip
    """As `definitions.compare_definitions`; the pairs are (ns, gaps)."""
    return (
        Definition("harness", "no operation runs on the device", *idle, window),
        Definition("over-1-ms", "only gaps longer than 1 ms", *over_1ms, window),
        Definition(
            "kernels-only", "copies and memsets count as idle",
            kernels.idle, kernels.gaps, kernels.extent,
        ),
        Definition(
            "per-stream", f"each of {len(streams)} streams on its own, added up",
            sum(s.idle for s in streams), sum(s.gaps for s in streams),
            sum(s.extent for s in streams),
        ),
        nvidia.result(),
    )  # fmt: skip
