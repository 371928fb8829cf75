"""The same trace under other people's definitions of idle, side by side."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..model.arrays import Code8, factorize
from ..model.intervals import Int64, complement, union
from ..model.schema import Kind
from ..model.trace import Trace
from .gaps import DeviceGaps

NVIDIA_OVERHEAD = ("CUDA profiling data flush", "CUDA profiling stop")
"""NVIDIA's gpu_gaps rule counts these overhead rows as busy."""
NVIDIA_NOTE = (
    "per process, no graph rows, profiler flushes busy (shown without its 500 ms threshold)"
)


@dataclass(frozen=True)
class Definition:
    """Idle time of one device under one definition."""

    name: str
    note: str
    idle_ns: int
    gaps: int
    window_ns: int


def compare_definitions(trace: Trace, gaps: DeviceGaps) -> tuple[Definition, ...]:
    """Ours first; every other one differs from it in one way, which its note says."""
    operations = trace.operations
    lo, hi = gaps.window_start, gaps.window_end
    start = np.maximum(operations.start[gaps.rows], lo)
    end = np.minimum(operations.end[gaps.rows], hi)
    kind = operations.kind[gaps.rows]
    kernels = kind == Kind.KERNEL
    rows = [
        Definition("harness", "no operation runs on the device", gaps.idle_ns, len(gaps), hi - lo),
        _over_1ms(gaps),
        _measure("kernels-only", "copies and memsets count as idle", start[kernels], end[kernels]),
        _streams(trace, gaps),
        _nvidia(trace, gaps, start, end, kind),
    ]
    return tuple(rows)


def _over_1ms(gaps: DeviceGaps) -> Definition:
    long = gaps.length > 1_000_000
    return Definition(
        "over-1-ms",
        "only gaps longer than 1 ms",
        int(gaps.length[long].sum()),
        int(np.count_nonzero(long)),
        gaps.window_ns,
    )


def _measure(name: str, note: str, start: Int64, end: Int64) -> Definition:
    """Idle of these operations alone, from their own first start to their own last end."""
    busy = union(start, end)
    if len(busy) == 0:
        return Definition(name, note, 0, 0, 0)
    lo, hi = int(busy.start[0]), int(busy.end[-1])
    idle = complement(busy, lo, hi)
    return Definition(name, note, idle.total, len(idle), hi - lo)


def streams(trace: Trace, gaps: DeviceGaps) -> Iterator[tuple[int, int, Int64]]:
    """(process index, stream id, rows of its operations) for each stream at work in the window."""
    operations = trace.operations
    rows = gaps.rows if isinstance(gaps.rows, np.ndarray) else np.arange(len(operations))
    stream, _ = factorize(operations.stream[rows])
    process, _ = factorize(operations.process[rows].astype(np.int64))
    key = process.astype(np.int64) * (int(stream.max(initial=0)) + 1) + stream
    order = np.argsort(key, kind="stable")
    for mine in np.split(rows[order], np.flatnonzero(np.diff(key[order])) + 1):
        if len(mine):
            yield int(operations.process[mine[0]]), int(operations.stream[mine[0]]), mine


def _streams(trace: Trace, gaps: DeviceGaps) -> Definition:
    operations, lo, hi = trace.operations, gaps.window_start, gaps.window_end
    parts = [
        _measure(
            "", "", np.maximum(operations.start[mine], lo), np.minimum(operations.end[mine], hi)
        )
        for _, _, mine in streams(trace, gaps)
    ]
    return Definition(
        "per-stream",
        f"each of {len(parts)} streams on its own, added up",
        sum(p.idle_ns for p in parts),
        sum(p.gaps for p in parts),
        sum(p.window_ns for p in parts),
    )


def _nvidia(trace: Trace, gaps: DeviceGaps, start: Int64, end: Int64, kind: Code8) -> Definition:
    """nsys's gpu_gaps (gpu-starv) rule: per process, graph rows unseen, its overhead busy."""
    process = trace.operations.process[gaps.rows]
    # Its test is on the recorded start, not on what a window leaves of it.
    seen = (kind != Kind.GRAPH) & (trace.operations.start[gaps.rows] > 0)
    overheads = trace.overheads
    codes, ids = factorize(overheads.name)
    named = [trace.strings[i].startswith(NVIDIA_OVERHEAD) for i in ids.tolist()]
    flush = np.array(named, np.bool_)[codes] if named else np.zeros(0, np.bool_)
    idle = count = window = 0
    for k in np.unique(process[seen]).tolist():
        mine = seen & (process == k)
        lo, hi = int(start[mine].min()), int(end[mine].max())
        inside = flush & (overheads.process == k) & (overheads.start > lo) & (overheads.end < hi)
        part = _measure(
            "",
            "",
            np.concatenate((start[mine], overheads.start[inside])),
            np.concatenate((end[mine], overheads.end[inside])),
        )
        idle, count, window = idle + part.idle_ns, count + part.gaps, window + part.window_ns
    return Definition(
        "nsys-gpu-gaps",
        NVIDIA_NOTE,
        idle,
        count,
        window,
    )
