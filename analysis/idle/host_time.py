"""How long the host waited: in synchronising calls, for flags, and for room in the launch queue."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from ..model.arrays import factorize
from ..model.intervals import Int64, Intervals, pieces, union
from ..model.schema import QUEUE_FULL
from ..model.trace import EVERY_THREAD, Trace
from ..store.opened import Store
from .cover import Cover
from .parts import Parts


def waited(parts: Parts, threads: tuple[int, ...], inside: Intervals) -> int:
    """Time inside these intervals in which one of these threads waited, ns.

    Threads that launch the work of one loop take turns (a main thread, and autograd's): while one
    waits for the GPU the others wait for it.
    """
    if len(inside) == 0:
        return 0
    cover = Cover()
    full = _queue_full(parts.source, threads)
    lo, hi = int(inside.start[0]), int(inside.end[-1])
    streams = [iter(parts.waits(thread, lo, hi)) for thread in threads]
    unseen = [parts.flag_waits(thread) for thread in threads]
    for start, end in _merged([*streams, *(iter([one]) for one in unseen), iter([full])]):
        first, last, _, _ = pieces(union(start, end), inside)
        cover.add(first, last)
    return cover.busy


_Intervals = tuple[Int64, Int64]


def _merged(streams: Iterable[Iterator[_Intervals]]) -> Iterator[_Intervals]:
    """Intervals of several streams, each sorted by start, as one such stream."""
    heads: list[tuple[Iterator[_Intervals], Int64, Int64]] = []
    empty = list(streams)
    while True:
        for stream in empty:
            for start, end in stream:
                if len(start):
                    heads.append((stream, start, end))
                    break
        if not heads:
            return
        upto = min(int(start[-1]) for _, start, _ in heads)
        places = [int(np.searchsorted(start, upto, side="right")) for _, start, _ in heads]
        first = np.concatenate([h[1][:k] for h, k in zip(heads, places, strict=True)])
        last = np.concatenate([h[2][:k] for h, k in zip(heads, places, strict=True)])
        order = np.argsort(first, kind="stable")
        yield first[order], last[order]
        rest = [(h[0], h[1][k:], h[2][k:]) for h, k in zip(heads, places, strict=True)]
        empty = [head[0] for head in rest if len(head[1]) == 0]
        heads = [head for head in rest if len(head[1])]


def _queue_full(source: Trace | Store, threads: tuple[int, ...]) -> _Intervals:
    """When launches of these threads waited for room in the queue, as far as it was recorded."""
    rows = source.overheads
    codes, ids = factorize(rows.name)
    full = np.array([source.strings[i] in QUEUE_FULL for i in ids.tolist()] or [False], np.bool_)
    mine = full[codes] & np.isin(rows.thread, (*threads, EVERY_THREAD))
    start, end = rows.start[mine], rows.end[mine]
    order = np.argsort(start, kind="stable")
    return start[order], end[order]
