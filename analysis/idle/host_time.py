"""How long a thread waited: in synchronising calls, and for room in the launch queue."""

from __future__ import annotations

import numpy as np

from ..model.arrays import factorize
from ..model.intervals import Int64
from ..model.schema import QUEUE_FULL
from ..model.trace import EVERY_THREAD, Trace
from ..store.opened import Store
from .cover import Cover
from .parts import Parts


def waited(parts: Parts, thread: int, lo: int, hi: int) -> int:
    """Time in `[lo, hi)` that a thread did not work for waiting, ns; negative for `hi < lo`."""
    if hi < lo:
        return -waited(parts, thread, hi, lo)
    cover = Cover()
    full_start, full_end = _cut(*_queue_full(parts.source, thread), lo, hi)
    done = 0
    for found in parts.waits(thread, lo, hi):
        start, end = _cut(*found, lo, hi)
        if len(start) == 0:
            continue
        upto = int(np.searchsorted(full_start, start[-1], side="right"))
        first = np.concatenate((start, full_start[done:upto]))
        last = np.concatenate((end, full_end[done:upto]))
        order = np.argsort(first, kind="stable")
        cover.add(first[order], last[order])
        done = max(done, upto)
    cover.add(full_start[done:], full_end[done:])
    return cover.busy


def _cut(start: Int64, end: Int64, lo: int, hi: int) -> tuple[Int64, Int64]:
    first, last = np.maximum(start, lo), np.minimum(end, hi)
    kept = last > first
    return first[kept], last[kept]


def _queue_full(source: Trace | Store, thread: int) -> tuple[Int64, Int64]:
    """When launches of a thread waited for room in the queue, as far as it was recorded."""
    rows = source.overheads
    codes, ids = factorize(rows.name)
    full = np.array([source.strings[i] in QUEUE_FULL for i in ids.tolist()] or [False], np.bool_)
    mine = full[codes] & ((rows.thread == thread) | (rows.thread == EVERY_THREAD))
    start, end = rows.start[mine], rows.end[mine]
    order = np.argsort(start, kind="stable")
    return start[order], end[order]
