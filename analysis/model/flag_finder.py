"""Finds waits for flags in pinned memory: no call shows them, a series of copies to the host does.

A thread that spins until a copy has changed what it reads makes no CUDA call meanwhile. Each copy
is looked at with the silence of the thread that launched it: from its last call before the end of
the copy to the next one. What such silences prove is in `following`, and only a series proves
anything: of all copies that were launched at one kind of place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from msgspec import Struct

from .arrays import Bool, Code, Column, factorize, groups, sought, stretches
from .flag_waits import FlagWaits
from .following import EARLY, LEAST, SHARE, enough, follows, in_time
from .intervals import Int64

BLOCK = 1 << 16
"""Copies that are looked at together; their series are judged by themselves."""
_PIECE = 1 << 13
"""Rows of calls that are read at once: each may lie on a page of its own."""

_AROUND = (-1, 0, 1)
"""Calls whose names tell places apart, counted from the one that launched the copy."""
_NESTED = 4
"""Calls before the silence among which the last to end is looked for: they may be nested."""


class CallTable(Struct, frozen=True, eq=False):
    """The calls of a trace, sorted by (thread, start); columns may lie on disk."""

    start: Column
    end: Column
    thread: Code
    process: Code
    name: Code
    held: Callable[[Int64], Bool]
    """Which of these rows held the host."""
    goes_on: Callable[[Int64], Bool]
    """Which of them go on with the wait of the row before: of a poll all but the first."""


class FlagFinder:
    """Finds the waits for flags from copies that come a stretch at a time, sorted by start.

    `threads`: how many there are; `forget`: gives back the memory that reading the calls mapped in.
    """

    def __init__(
        self, calls: CallTable, threads: int, forget: Callable[[], None] = lambda: None
    ) -> None:
        self._calls, self._forget = calls, forget
        self._edges = sought(calls.thread, np.arange(threads + 1), "left")
        self._rest = np.empty((3, 0), np.int64)
        self._found: list[Int64] = []
        self._followed = self._copies = 0

    def add(self, launch: Int64, end: Int64, stream: Int64) -> None:
        """Copies to the host: the row of the call that launched each, when it ended, and where."""
        self._rest = np.concatenate((self._rest, [launch, end, stream]), axis=1)
        # So that no block is a short one, the last has up to twice as many.
        while self._rest.shape[1] >= 2 * BLOCK:
            self._judge(self._rest[:, :BLOCK])
            self._rest = self._rest[:, BLOCK:]

    def result(self) -> FlagWaits:
        """What was found among all of them."""
        self._judge(self._rest)
        if not self._found:
            return FlagWaits.none()
        call, start, end = np.concatenate(self._found, axis=1)
        # One silence may have lasted until several copies had ended.
        order = np.lexsort((end, call))
        call, start, end = call[order], start[order], end[order]
        last = np.append(call[1:] != call[:-1], [True])
        return FlagWaits(call[last], start[last], end[last], self._followed, self._copies)

    def _judge(self, copies: Int64) -> None:
        if copies.shape[1] < LEAST:
            return
        launch, end, stream = copies
        free = self._take(self._calls.end, launch) < end
        if np.count_nonzero(free) < LEAST:
            return
        for rows in self._places(launch, stream, free):
            self._series(launch[rows], end[rows], free[rows])

    def _places(self, launch: Int64, stream: Int64, free: Bool) -> Iterator[Int64]:
        """Copies of one place each, in the order of their launches, whose calls seldom held."""
        calls = self._calls
        thread = self._take(calls.thread, launch)
        place = _finer(factorize(thread)[0], factorize(stream)[0])
        for apart in _AROUND:
            row = np.clip(launch + apart, 0, len(calls.thread) - 1)
            same = (row == launch + apart) & (self._take(calls.thread, row) == thread)
            place = _finer(place, np.where(same, self._take(calls.name, row) + 1, 0))
        count = np.bincount(place)
        likely = (count >= LEAST) & (np.bincount(place, weights=free) >= SHARE * count)
        mine = np.flatnonzero(likely[place])
        for _, rows in groups(place[mine]):
            chosen = mine[rows]
            yield chosen[np.argsort(launch[chosen], kind="stable")]

    def _series(self, launch: Int64, end: Int64, free: Bool) -> None:
        """All copies of one place: keep their waits, if they prove that they are such."""
        calls, count = self._calls, len(launch)
        low, high = self._edges[int(calls.thread[launch[0]]) :][:2].tolist()
        after = low + self._seek(calls.start[low:high], end - EARLY, "left")
        known = np.flatnonzero(free & (after < high) & (after > launch))
        if not enough(len(known), count):
            return
        launch, end, after = launch[known], end[known], after[known]
        begin = self._take(calls.end, launch)
        for back in range(1, _NESTED + 1):
            begin = np.maximum(begin, self._take(calls.end, np.maximum(after - back, launch)))
        start = self._take(calls.start, after)
        good = in_time(end - begin, start - begin) & ~self._marked(calls.goes_on, after)
        good &= after - launch == _commonest((after - launch)[good])
        rows = np.flatnonzero(good)
        if not enough(len(rows), count):
            return
        rows = rows[~self._elsewhere(launch[rows], end[rows])]
        if not enough(len(rows), count):
            return
        begin, start, end, launched = begin[rows], start[rows], end[rows], launch[rows]
        launched = self._take(calls.end, launched)
        # From both: a timer's call comes late after a silence that began early, as a wait does.
        if all(follows(end - since, start - since) for since in (begin, launched)):
            self._found.append(np.array([after[rows], begin, np.minimum(end, start)]))
            self._followed += len(rows)
            self._copies += count

    def _elsewhere(self, launch: Int64, end: Int64) -> Bool:
        """Copies during whose end another thread of the process was in a wait that was recorded:
        that thread may have handed over, and its wait says all."""
        calls = self._calls
        found = np.zeros(len(end), np.bool_)
        own, process = int(calls.thread[launch[0]]), calls.process[launch[0]]
        for thread, (low, high) in enumerate(zip(self._edges[:-1], self._edges[1:], strict=True)):
            if thread == own or low == high or calls.process[low] != process:
                continue
            begun = low + self._seek(calls.start[low:high], end, "right") - 1
            for back in range(_NESTED):
                row = np.maximum(begun - back, low)
                over = (begun - back >= low) & (self._take(calls.end, row) >= end - EARLY)
                found |= over & self._marked(calls.held, row)
            later = np.minimum(begun + 1, high - 1)
            found |= (later > begun) & (begun >= low) & self._marked(calls.goes_on, later)
        return found

    # What is read of the calls

    def _take(self, column: Column, rows: Int64) -> Int64:
        found = np.empty(len(rows), np.int64)
        for some in self._pieces(len(rows)):
            found[some] = column[rows[some]]
        return found

    def _seek(self, column: Column, values: Int64, side: str) -> Int64:
        found = np.empty(len(values), np.int64)
        for some in self._pieces(len(values)):
            found[some] = sought(column, values[some], side)
        return found

    def _marked(self, mark: Callable[[Int64], Bool], rows: Int64) -> Bool:
        found = np.empty(len(rows), np.bool_)
        for some in self._pieces(len(rows)):
            found[some] = mark(rows[some])
        return found

    def _pieces(self, rows: int) -> Iterator[slice]:
        for some in stretches(rows, _PIECE):
            yield some
            self._forget()


def _finer(place: Code, more: Column) -> Code:
    """Numbers for the pairs of two."""
    return factorize(place.astype(np.int64) * (int(more.max()) + 1) + more)[0]


def _commonest(values: Int64) -> int:
    distinct, count = np.unique(values, return_counts=True)
    return int(distinct[count.argmax()]) if len(values) else -1
