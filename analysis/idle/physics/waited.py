"""Which waits are known to have waited for which work."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool, groups
from ...model.cuda_calls import DEVICE_SYNCHRONIZE, STREAM_SYNCHRONIZE, named
from ...model.intervals import Int64
from ...store.folder import Array
from ...store.layout import REPEATED
from ...store.opened import Store
from ...store.whole import Whole

_JUDGED = ("cu", "hip")
"""CUDA's and HIP's calls: they wait without a time limit, and their streams are the operations'."""
DEVICE_WAITS = frozenset(name for name in DEVICE_SYNCHRONIZE if name.startswith(_JUDGED))
STREAM_WAITS = frozenset(name for name in STREAM_SYNCHRONIZE if name.startswith(_JUDGED))

ALL, ONE = -(2**63) + 1, -(2**63) + 2
"""In place of a stream: all of a process; and a stream that is not known, the only one perhaps."""


class Waits(Struct, frozen=True, eq=False):
    """Synchronising calls that returned, sorted by when they began. Arrays have shape (n,)."""

    process: Int64
    stream: Int64
    """`ALL` or `ONE` where it is not one known stream."""
    begin: Int64
    end: Int64

    def queues(self) -> list[tuple[tuple[int, int], Int64]]:
        """((process, stream), the rows of its waits in order)."""
        return [
            ((process, stream), mine[some])
            for process, mine in groups(self.process)
            for stream, some in groups(self.stream[mine])
        ]


class WaitsFound:
    """Finds the waits in the calls of a trace, part by part. A wait takes 32 bytes."""

    def __init__(self, tables: Whole | Store) -> None:
        self._device = named(tables.names, DEVICE_WAITS.__contains__)
        self._stream = named(tables.names, STREAM_WAITS.__contains__)
        self.wanted: Bool = self._device | self._stream
        """By name."""
        known = tables.synchronizations
        order = np.argsort(known.call, kind="stable")
        order = order[known.call[order] >= 0]
        self._call, self._of = known.call[order], known.stream[order]
        self._found: list[tuple[Int64, ...]] = []

    def add(self, rows: Int64, part: dict[str, Array]) -> None:
        """Sound calls, their row numbers and their columns."""
        mine = self.wanted[part["name"]] & (part["end"] > part["start"])
        mine &= (part["flags"] & REPEATED) == 0
        if not mine.any():
            return
        name, call = part["name"][mine], rows[mine]
        stream = np.where(self._device[name], ALL, ONE)
        at = np.minimum(np.searchsorted(self._call, call), max(len(self._call) - 1, 0))
        if len(self._call):
            known = (self._call[at] == call) & self._stream[name]
            stream = np.where(known, self._of[at], stream)
        columns = (part[column][mine].astype(np.int64) for column in ("process", "start", "end"))
        process, begin, end = columns
        self._found.append((process, stream, begin, end))

    def waits(self) -> Waits:
        if not self._found:
            empty = np.empty(0, np.int64)
            return Waits(empty, empty, empty, empty)
        process, stream, begin, end = map(np.concatenate, zip(*self._found, strict=True))
        order = np.argsort(begin, kind="stable")
        return Waits(process[order], stream[order], begin[order], end[order])
