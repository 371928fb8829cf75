"""When all of a recorded process would have happened, for several recorders' costs at once.

Every time is the latest of earlier times, each a fixed while later, so that nothing taken out of
the host can make anything later: what a bigger cost leaves is never longer. Between two moments at
which a line or a stream waits, its times are sums, and a whole stretch is added up at once, as in
`gains.batch`.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..gains.machine import NEVER
from ..model.intervals import Int64
from .host import Lines
from .work import Work


class Until(Struct, frozen=True):
    """A wait of the host: it ends so long after the last of some operations, at the earliest."""

    instant: int
    """Place in `Lines`."""
    targets: tuple[int, ...]
    """Places in `Work`."""
    ns: int


class Follows(Struct, frozen=True):
    """A line goes on so long after an instant of another, at the earliest."""

    instant: int
    other: int
    ns: int


class Score(Struct, frozen=True, eq=False):
    """What is played: lines, work, and when they wait for each other."""

    lines: Lines
    work: Work
    waits: tuple[Until, ...]
    follows: tuple[Follows, ...]
    origin: Int64
    """When each line begins, unless it follows another, ns; shape (lines,)."""


class Played(Struct, frozen=True, eq=False):
    """Shapes (variants, instants) and (variants, operations), the latter as in `Work`; ns."""

    time: Int64
    start: Int64


def play(score: Score, length: Int64, step: Int64) -> Played:
    """`length`: of each stretch, shape (variants, instants); `step`: as in `Work`, shape (variants,
    operations). What comes out has as many variants."""
    return _Play(score, length, step).run()


class _Play:
    def __init__(self, score: Score, length: Int64, step: Int64) -> None:
        self.score, self.work = score, score.work
        lines, work = score.lines, score.work
        k = len(length)
        self.heads = frozenset(lines.first[:-1].tolist())
        self.done = np.cumsum(length, axis=1)
        self.rows, self.latest = _rows(score)
        count = len(score.origin)
        # By how much an instant is later than the sum of all stretches before it, by the last wait
        # before it; the last row is that of work which goes by no instant.
        self.offsets = np.full((count + len(self.rows) + 1, k), NEVER, np.int64)
        self.offsets[:count] = score.origin[:, None] - self.done[:, lines.first[:-1]].T
        self.offsets[-1] = 0
        self.steps = np.cumsum(step, axis=1)
        begin = np.maximum(work.begin, 0)
        some = work.begin >= 0
        base = np.where(some, self.done[:, begin] if len(lines.time) else 0, work.start)
        self.base = base + work.lag - self.steps
        self.by = np.where(some, self.latest[begin] if len(lines.time) else 0, -1)
        self.start = np.full((k, len(work.row)), NEVER, np.int64)
        self.pushed = np.zeros(len(work.bounds) - 1, np.bool_)
        for held in work.held:
            self.pushed[work.lane[held.place]] = True
        self.next = work.bounds[:-1].tolist()
        self.carry = np.full((len(self.next), k), NEVER, np.int64)

    def run(self) -> Played:
        score, work = self.score, self.work
        time, start = score.lines.time, work.start
        # At one instant the host goes on first: what it launches then may start at once.
        events = [(int(time[one.instant]), 0, k, k) for k, one in enumerate(score.waits)]
        events += [(int(time[one.instant]), 1, one.other, k)
                   for k, one in enumerate(score.follows)]  # fmt: skip
        events += [(int(start[one.place]), 2, k, k) for k, one in enumerate(work.held)]
        for _, kind, _, k in sorted(events):
            if kind == 0:
                self._wait(score.waits[k])
            elif kind == 1:
                one = score.follows[k]
                self._goes_on(one.instant, self._instant(one.other) + one.ns)
            else:
                held = work.held[k]
                reach = self._started(held.after) + held.ns
                np.maximum(self.start[:, held.place], reach, out=self.start[:, held.place])
        for lane in range(len(self.next)):
            self._run_until(lane, int(work.bounds[lane + 1]))
        return Played(self.done + self.offsets[self.latest].T, self.start)

    def _instant(self, k: int) -> Int64:
        found: Int64 = self.done[:, k] + self.offsets[self.latest[k]]
        return found

    def _wait(self, one: Until) -> None:
        until = np.full(len(self.done), NEVER, np.int64)
        for target in one.targets:
            np.maximum(until, self._started(target) + self.work.duration[target], out=until)
        self._goes_on(one.instant, until + one.ns)

    def _goes_on(self, k: int, earliest: Int64) -> None:
        row = self.latest[k]
        now = np.full(len(self.done), NEVER, np.int64)
        if k not in self.heads:
            now = self.done[:, k] + self.offsets[self.latest[k - 1]]
        found = np.maximum(now, earliest) - self.done[:, k]
        np.maximum(self.offsets[row], found, out=self.offsets[row])

    def _started(self, place: int) -> Int64:
        self._run_until(int(self.work.lane[place]), place + 1)
        found: Int64 = self.start[:, place]
        return found

    def _run_until(self, lane: int, high: int) -> None:
        """Run a stream up to this place."""
        low = self.next[lane]
        if high <= low:
            return
        self.next[lane] = high
        reach = self.base[:, low:high] + self.offsets[self.by[low:high]].T
        steps = self.steps[:, low:high]
        if self.pushed[lane]:
            np.maximum(reach, self.start[:, low:high] - steps, out=reach)
        np.maximum(reach[:, 0], self.carry[lane], out=reach[:, 0])
        np.maximum.accumulate(reach, axis=1, out=reach)
        self.carry[lane] = reach[:, -1]
        self.start[:, low:high] = reach + steps


def _rows(score: Score) -> tuple[list[int], Int64]:
    """The instants at which a line may wait, and of each instant the row of offsets that it goes
    by: that of the last of them, or its line's first."""
    lines, count = score.lines, len(score.origin)
    of_waits = {one.instant for one in score.waits}
    rows = sorted(of_waits | {one.instant for one in score.follows})
    line = np.repeat(np.arange(count), np.diff(lines.first))
    last = np.searchsorted(np.array(rows, np.int64), np.arange(len(line)), side="right") - 1
    if not rows:
        return rows, line
    own = (last >= 0) & (line[np.array(rows, np.int64)[np.maximum(last, 0)]] == line)
    return rows, np.where(own, count + last, line)
