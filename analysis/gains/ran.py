"""For how long the thread that runs the steps had a core, and for how long it was blocked."""

from __future__ import annotations

import numpy as np

from ..model.arrays import Bool
from ..model.intervals import Int64
from ..readers.range_cpu import RangeCpu
from .sites import Sites
from .stretch import Stretch


def ran_in(stretch: Stretch, sites: Sites, cpu: RangeCpu | None) -> tuple[Int64, Int64]:
    """By family of ranges, of the thread that runs the steps and without inner ranges: how long it
    was in them, and how long it ran, ns; 0 where that is not known. Shapes (families,)."""
    count = len(sites.names)
    wall, ran = np.zeros(count, np.int64), np.zeros(count, np.int64)
    if cpu is None:
        return wall, ran
    thread = stretch.trace.threads[stretch.main].global_tid
    mine: Bool = (cpu.thread == thread) & (cpu.start >= stretch.begin) & (cpu.end <= stretch.end)
    rows = np.flatnonzero(mine)
    rows = rows[np.lexsort((-cpu.end[rows], cpu.start[rows]))]
    own = np.full(len(rows), stretch.main, np.int64)
    family = sites.at(cpu.start[rows], own)
    lengths, times = (cpu.end - cpu.start)[rows], cpu.ran[rows]
    open_rows: list[int] = []
    for k, (start, end) in enumerate(
        zip(cpu.start[rows].tolist(), cpu.end[rows].tolist(), strict=True)
    ):
        while open_rows and cpu.end[rows[open_rows[-1]]] <= start:
            open_rows.pop()
        if open_rows and cpu.end[rows[open_rows[-1]]] >= end:
            outer = family[open_rows[-1]]
            wall[outer] -= lengths[k]
            ran[outer] -= times[k]
        wall[family[k]] += lengths[k]
        ran[family[k]] += times[k]
        open_rows.append(k)
    shared = family[_shared(stretch, cpu.start[rows], cpu.end[rows])]
    wall[shared] = 0
    known = (wall > 0) & (ran >= 0)
    return np.where(known, wall, 0), np.where(known, np.minimum(ran, wall), 0)


def _shared(stretch: Stretch, start: Int64, end: Int64) -> Bool:
    """In which of these ranges another thread of the loop made calls: the one that runs the steps
    may have waited for it, as for autograd's."""
    calls = stretch.trace.calls
    others = np.sort(calls.start[calls.thread != stretch.main])
    found: Bool = np.searchsorted(others, end) > np.searchsorted(others, start)
    return found
