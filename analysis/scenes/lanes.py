"""The lanes of a scene: NVTX ranges and CUDA calls of a thread, operations of a stream."""

from __future__ import annotations

import numpy as np

from ..idle.attribute import family
from ..model.arrays import factorize
from ..model.communication import KNOWN
from ..model.cuda_calls import allocating, synchronizing
from ..model.intervals import Int64
from ..model.names import operation_names
from ..model.schema import Kind
from ..model.short_names import cut
from ..model.source import TORCH_PROFILER
from ..model.streams import stream_labels
from ..model.trace import Trace
from .scene import Lane

MAX_DEPTH = 5
"""Nested ranges drawn for each thread; deeper ones are counted in the lane's note."""
MAX_STREAMS = 6
"""Lanes of streams; where there are more streams, the least busy ones share the last."""
MAX_ROWS = 4
"""Rows of one stream whose operations overlap."""
LONG_NAME = 96
_LOOK = 2000
"""Ranges of a thread looked at to give names their colours."""
RANGE_TONES = ("range-1", "range-2", "range-3", "range-4")

_API = ("api-launch", "api-sync", "api-alloc", "api-other")
_OPERATION = ("kernel", "copy", "set", "graph", "comm")


def thread_title(trace: Trace, thread: int) -> str:
    """How a person tells threads apart: `python 1000`."""
    one = trace.threads[thread]
    name = one.name[:24] or "thread"
    return name if str(one.tid) in name else f"{name} {one.tid}"


def range_word(trace: Trace) -> str:
    """What the ranges are: NVTX's, or those of torch.profiler."""
    return "ranges" if trace.source.producer == TORCH_PROFILER else "NVTX"


def stacked(start: Int64, end: Int64, *, nested: bool) -> Int64:
    """Row for each interval, sorted by (start, -end), so that rows hold no overlaps; shape (n,).

    `nested`: one row below whatever is still open, so that depth shows; else the first free row.
    """
    row = np.zeros(len(start), np.int64)
    open_until: list[int] = []
    for k, (lo, hi) in enumerate(zip(start.tolist(), end.tolist(), strict=True)):
        if nested:
            while open_until and open_until[-1] <= lo:
                open_until.pop()
            row[k] = len(open_until)
            open_until.append(hi)
            continue
        level = next((r for r, until in enumerate(open_until) if until <= lo), len(open_until))
        open_until[level : level + 1] = [hi]
        row[k] = level
    return row


def range_lane(trace: Trace, thread: int, lo: int, hi: int, steps: set[int]) -> Lane | None:
    """NVTX ranges of one thread in `[lo, hi)`, nested; `steps`: string ids of step ranges."""
    ranges = trace.ranges
    rows = np.flatnonzero((ranges.thread == thread) & (ranges.start < hi) & (ranges.end > lo))
    if len(rows) == 0:
        return None
    row = stacked(ranges.start[rows], ranges.end[rows], nested=True)
    shown = row < MAX_DEPTH
    note = f"{int((~shown).sum())} ranges nested deeper are not drawn" if not shown.all() else ""
    rows, row = rows[shown], row[shown]
    codes, ids = factorize(ranges.name[rows])
    labels = _labels([trace.strings[i] for i in ids.tolist()])
    tone_of = _range_tones(trace, thread, steps, ids.tolist())
    tone = np.array([tone_of[i] for i in ids.tolist()], np.int64)[codes]
    return Lane(
        f"{thread_title(trace, thread)} · {range_word(trace)}", "host", "nvtx",
        ranges.start[rows], ranges.end[rows], row, codes.astype(np.int64), tone.astype(np.int64),
        np.ones(len(rows), np.int64), labels, (*RANGE_TONES, "step"), note,
    )  # fmt: skip


def _range_tones(trace: Trace, thread: int, steps: set[int], ids: list[int]) -> dict[int, int]:
    """Tone of each range name: by the order in which its family first appears on the thread, so
    that a forward pass keeps its colour from scene to scene."""
    ranges = trace.ranges
    first, stop = np.searchsorted(ranges.thread, [thread, thread + 1]).tolist()
    seen: dict[str, int] = {}
    for name in dict.fromkeys([*ranges.name[first : min(stop, first + _LOOK)].tolist(), *ids]):
        if name not in steps:
            seen.setdefault(family(trace.strings[name]), len(seen) % len(RANGE_TONES))
    return {i: len(RANGE_TONES) if i in steps else seen[family(trace.strings[i])] for i in ids}


def api_lane(trace: Trace, thread: int, lo: int, hi: int) -> Lane | None:
    """CUDA calls of one thread in `[lo, hi)`, by what they are for."""
    calls = trace.calls
    first, stop = np.searchsorted(calls.thread, [thread, thread + 1]).tolist()
    mine = slice(first, stop)
    rows = first + np.flatnonzero((calls.start[mine] < hi) & (calls.end[mine] > lo))
    if len(rows) == 0:
        return None
    tone = np.full(len(calls), 3, np.int64)
    launch = trace.operations.launch
    tone[launch[launch >= 0]] = 0
    tone[allocating(calls)] = 2
    tone[synchronizing(trace)] = 1
    row = stacked(calls.start[rows], calls.end[rows], nested=True)
    # A driver call inside a runtime call says nothing more at this size.
    rows = rows[row == 0]
    return Lane(
        f"{thread_title(trace, thread)} · CUDA API", "host", "api",
        calls.start[rows], calls.end[rows], np.zeros(len(rows), np.int64),
        calls.name[rows].astype(np.int64), tone[rows], np.ones(len(rows), np.int64),
        _labels(list(calls.names)), _API,
    )  # fmt: skip


def stream_lanes(trace: Trace, rows: Int64) -> list[Lane]:
    """One lane a stream of the operations `rows`, busiest streams first and by number."""
    operations = trace.operations
    if len(rows) == 0:
        return []
    process, _ = factorize(operations.process[rows].astype(np.int64))
    stream, numbers = factorize(operations.stream[rows])
    code, keys = factorize(stream.astype(np.int64) * (int(process.max()) + 1) + process)
    spent = np.bincount(code, weights=operations.end[rows] - operations.start[rows])
    busiest = np.argsort(-spent, kind="stable")
    if len(keys) > MAX_STREAMS:
        busiest = busiest[: MAX_STREAMS - 1]
    shown = sorted(busiest.tolist())
    named = stream_labels(numbers[keys[shown] // (int(process.max()) + 1)].tolist())
    lanes = [_operations(trace, rows[code == k], n) for k, n in zip(shown, named, strict=True)]
    others = rows[~np.isin(code, busiest)]
    if len(others):
        lanes.append(_operations(trace, others, f"{len(keys) - len(busiest)} other streams"))
    return lanes


def _operations(trace: Trace, rows: Int64, title: str) -> Lane:
    operations = trace.operations
    kind = operations.kind[rows]
    tone = np.select(
        [kind == Kind.MEMCPY, kind == Kind.MEMSET, kind == Kind.GRAPH], [1, 2, 3], default=0
    )
    kernel = kind == Kind.KERNEL
    codes, names = operation_names(trace, rows)
    communicates = KNOWN.which(names)
    tone = np.where(kernel & communicates[codes], 4, tone)
    row = stacked(operations.start[rows], operations.end[rows], nested=False)
    hidden = int((row >= MAX_ROWS).sum())
    note = f"{hidden} operations that overlap {MAX_ROWS} others are not drawn" if hidden else ""
    seen = row < MAX_ROWS
    return Lane(
        title, "gpu", "stream", operations.start[rows][seen], operations.end[rows][seen], row[seen],
        codes[seen].astype(np.int64), tone[seen].astype(np.int64),
        np.ones(int(seen.sum()), np.int64), _labels(names), _OPERATION, note,
    )  # fmt: skip


def _labels(names: list[str]) -> tuple[str, ...]:
    return tuple(cut(name, LONG_NAME) for name in names)
