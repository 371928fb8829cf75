"""How long a thread waited: in synchronising calls, and for room in the launch queue."""

from __future__ import annotations

import numpy as np

from ..model.arrays import factorize
from ..model.intervals import Int64, Intervals, pieces, union
from ..model.schema import QUEUE_FULL
from ..model.trace import EVERY_THREAD, Trace
from ..store.opened import Store
from .cover import Cover
from .parts import Parts


def waited(parts: Parts, thread: int, inside: Intervals) -> int:
    """Time inside these intervals that a thread did not work for waiting, ns."""
    if len(inside) == 0:
        return 0
    cover = Cover()
    full_start, full_end = _queue_full(parts.source, thread)
    done = 0
    for start, end in parts.waits(thread, int(inside.start[0]), int(inside.end[-1])):
        if len(start) == 0:
            continue
        upto = int(np.searchsorted(full_start, start[-1], side="right"))
        first = np.concatenate((start, full_start[done:upto]))
        last = np.concatenate((end, full_end[done:upto]))
        cover.add(*_cut(first, last, inside))
        done = max(done, upto)
    cover.add(*_cut(full_start[done:], full_end[done:], inside))
    return cover.busy


def _cut(start: Int64, end: Int64, inside: Intervals) -> tuple[Int64, Int64]:
    first, last, _, _ = pieces(union(start, end), inside)
    return first, last


def _queue_full(source: Trace | Store, thread: int) -> tuple[Int64, Int64]:
    """When launches of a thread waited for room in the queue, as far as it was recorded."""
    rows = source.overheads
    codes, ids = factorize(rows.name)
    full = np.array([source.strings[i] in QUEUE_FULL for i in ids.tolist()] or [False], np.bool_)
    mine = full[codes] & ((rows.thread == thread) | (rows.thread == EVERY_THREAD))
    start, end = rows.start[mine], rows.end[mine]
    order = np.argsort(start, kind="stable")
    return start[order], end[order]
