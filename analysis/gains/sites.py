"""Where on the host something was: the innermost range that the user, or PyTorch, put there."""

from __future__ import annotations

import numpy as np

from ..idle.attribute import family
from ..idle.proposals import of_library
from ..model.arrays import Bool, groups
from ..model.evidence import is_evidence
from ..model.intervals import Int64, Intervals, complement, pieces, union
from ..model.nesting import innermost
from ..model.source import OPERATORS_DOMAIN, TORCH_PROFILER
from ..model.trace import Ranges
from .stretch import Stretch

NOWHERE = ""
"""Stands for the time that no range covers."""


class Sites:
    """The families of ranges of a stretch. `names[0]` is `NOWHERE`.

    A thread that has no range of its own at an instant, such as autograd's, is where the thread
    that runs the steps is.
    """

    def __init__(self, stretch: Stretch) -> None:
        trace = stretch.trace
        ranges, strings = trace.ranges, trace.strings
        self._main = stretch.main
        self._number = {NOWHERE: 0}
        self._stretches: dict[int, tuple[Intervals, Int64]] = {}
        ours: dict[int, str] = {}
        number = np.full(len(ranges), -1, np.int64)
        for string_id, rows in groups(ranges.name):
            name = strings[string_id]
            if is_evidence(name):
                ours[string_id] = name
            elif not of_library(name):
                number[rows] = self._number.setdefault(family(name), len(self._number))
        kept = ranges.end_thread == ranges.thread
        if trace.source.producer == TORCH_PROFILER:
            kept &= ranges.domain != OPERATORS_DOMAIN
        self._lay_out(ranges, kept & (number >= 0), number)
        if ours:
            # What a recorder noted is told with the user's own range around it.
            noted = np.flatnonzero(np.isin(ranges.name, np.array(list(ours), np.int64)))
            outer = self.at(ranges.start[noted], ranges.thread[noted].astype(np.int64))
            names = tuple(self._number)
            for row, place in zip(noted.tolist(), outer.tolist(), strict=True):
                own = family(ours[int(ranges.name[row])])
                whole = f"{own} in {names[place]}" if place else own
                number[row] = self._number.setdefault(whole, len(self._number))
            self._lay_out(ranges, kept & (number >= 0), number)
        self.names = tuple(self._number)

    def _lay_out(self, ranges: Ranges, kept: Bool, number: Int64) -> None:
        """Each thread's time by the innermost of these ranges."""
        for thread, rows in groups(ranges.thread[kept]):
            mine = np.flatnonzero(kept)[rows]
            inner, owner = innermost(ranges.start[mine], ranges.end[mine])
            self._stretches[thread] = inner, number[mine[owner]]

    def at(self, time: Int64, thread: Int64) -> Int64:
        """Number of the family that each instant lies in on its thread; shape (n,)."""
        found = np.zeros(len(time), np.int64)
        for one, rows in groups(thread):
            for own in dict.fromkeys((one, self._main)):
                inner, names = self._stretches.get(own, _NONE)
                if len(inner) == 0:
                    continue
                some = rows[found[rows] == 0]
                k = np.searchsorted(inner.start, time[some], side="right") - 1
                hit = (k >= 0) & (inner.end[np.maximum(k, 0)] > time[some])
                found[some[hit]] = names[k[hit]]
        return found

    def pieces(self, start: Int64, end: Int64, thread: Int64) -> tuple[Int64, Int64, Int64, Int64]:
        """Each `[start, end)` on its thread, cut by family: (row, number of the family, start of
        the piece, its length, ns). What no family covers is of `NOWHERE`. Those of one thread are
        sorted and disjoint.
        """
        found: list[tuple[Int64, Int64, Int64, Int64]] = []
        for one, all_rows in groups(thread):
            rows = all_rows[end[all_rows] > start[all_rows]]
            if len(rows) == 0:
                continue
            spans = Intervals(start[rows], end[rows])
            for own in dict.fromkeys((one, self._main)):
                inner, names = self._stretches.get(own, _NONE)
                lo, hi, mine, piece = pieces(spans, inner)
                found.append((rows[mine], names[piece], lo, hi - lo))
                spans, rows = _outside(spans, rows, inner)
            found.append(
                (rows, np.zeros(len(rows), np.int64), spans.start, spans.end - spans.start)
            )
        if not found:
            none = np.empty(0, np.int64)
            return none, none, none, none
        columns = [np.concatenate(column) for column in zip(*found, strict=True)]
        return columns[0], columns[1], columns[2], columns[3]


def _outside(spans: Intervals, rows: Int64, inner: Intervals) -> tuple[Intervals, Int64]:
    """What of these spans lies in none of the others, and the row of each piece."""
    if len(spans) == 0:
        return spans, rows
    first, last = int(spans.start[0]), int(spans.end[-1])
    free = complement(union(inner.start, inner.end), first, last)
    lo, hi, mine, _ = pieces(spans, free)
    return Intervals(lo, hi), rows[mine]


_NONE = Intervals(np.empty(0, np.int64), np.empty(0, np.int64)), np.empty(0, np.int64)
