"""One recorded loop played many times at once, with something changed each time.

The rules are those of `machine.Machine`, the sums are over arrays: between two moments at which the
host or a stream waits, its clocks are sums of what came before, so that a stretch of a thousand
calls is added up as one, for all changes together. Ours, since no library replays a trace, and a
call at a time in Python would take longer than the analysis.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct, field

from ..model.intervals import Int64
from .loop import Loop
from .machine import NEVER


class Variant(Struct, eq=False):
    """What one way to play a loop changes; arrays are the loop's own where it changes nothing."""

    before: Int64
    own: Int64
    duration: Int64
    """Of operations, what held their start included."""
    gap: Int64
    """What a stream needs before each operation."""
    waits: dict[int, tuple[int, ...]] = field(default_factory=dict)
    """Number of a wait to what it waits for instead; empty for nothing."""
    released: set[int] = field(default_factory=set)
    """Numbers of the holds that hold nothing."""

    @classmethod
    def of(cls, loop: Loop) -> Variant:
        """Nothing changed; whoever changes an array copies it first."""
        gap = np.where(loop.chained, loop.timing.node_gap_ns, loop.timing.gap_ns)
        return cls(loop.before, loop.own, loop.duration + loop.late, gap)


def replay(loop: Loop, variants: Sequence[Variant]) -> Int64:
    """When each operation ends in each of them; shape (variants, operations), ns."""
    return _Batch(loop, variants).play()


class _Batch:
    """Each stream is run no further than its next wait asks for, and at once so far."""

    def __init__(self, loop: Loop, variants: Sequence[Variant]) -> None:
        self.loop, self.variants = loop, variants
        k = len(variants)
        self.changed = _changed(variants)
        waits = np.array([wait.action for wait in loop.waits], np.int64)
        # When each action begins, and when it is over, if its clock never waits.
        begin, over = self._host()
        self.wait_begin, self.wait_over = begin[:, waits].T.copy(), over[:, waits].T.copy()
        self.order = np.argsort(loop.lane, kind="stable")
        self.bounds = np.searchsorted(loop.lane[self.order], np.arange(loop.lanes + 1)).tolist()
        self.place = np.empty(len(self.order), np.int64)
        self.place[self.order] = np.arange(len(self.order))
        self.action = loop.action[self.order]
        self.length = np.stack([one.duration for one in variants])[:, self.order]
        # What a stream has done at each operation's end if it never waits.
        self.done = np.stack([one.gap for one in variants])[:, self.order]
        self.done += self.length
        np.cumsum(self.done, axis=1, out=self.done)
        self.earliest = begin[:, self.action]
        self.earliest += loop.timing.latency_ns + self.length - self.done
        self.ends = np.zeros((k, len(loop.action)), np.int64)
        # By how much each clock is late after each of its waits, and before the first one.
        self.offsets = np.full((loop.clocks + len(waits), k), loop.stretch.begin, np.int64)
        self.latest = _latest(loop, waits, np.arange(loop.actions))
        self.held = np.full((loop.lanes, k), NEVER, np.int64)
        self.tail = np.full((loop.lanes, k), NEVER, np.int64)
        self.tail[:] = loop.running[:, None]
        self.next = self.bounds[:-1]

    def _host(self) -> tuple[Int64, Int64]:
        loop = self.loop
        before = np.stack([one.before for one in self.variants])
        over = before + np.stack([one.own for one in self.variants])
        own = over - before
        for clock in range(loop.clocks):
            mine = slice(None) if loop.clocks == 1 else np.flatnonzero(loop.clock == clock)
            over[:, mine] = np.cumsum(over[:, mine], axis=1)
        return over - own, over

    def play(self) -> Int64:
        loop = self.loop
        events = [(wait.action, 0, number) for number, wait in enumerate(loop.waits)]
        events += [(hold.action, 1, number) for number, hold in enumerate(loop.holds)]
        for _, kind, number in sorted(events):
            if kind == 0:
                self._wait(number)
            else:
                self._hold(number)
        for lane in range(loop.lanes):
            self._run_until(lane, self.bounds[lane + 1])
        found = np.empty_like(self.ends)
        found[:, self.order] = self.ends
        return found

    def _run_until(self, lane: int, high: int) -> None:
        """Run what was queued on a stream before this place."""
        low = self.next[lane]
        if high <= low:
            return
        self.next[lane] = high
        reach = self.offsets[self.latest[self.action[low:high]]].T + self.earliest[:, low:high]
        done = self.done[:, low:high]
        # What the stream has done before holds the gap before the operation: a stream without
        # earlier work needs none.
        before = self.done[:, low - 1] if low else 0
        tail, first = self.tail[lane], done[:, 0] - self.length[:, low]
        np.maximum(reach[:, 0], np.where(tail == NEVER, NEVER, tail - before), out=reach[:, 0])
        np.maximum(reach[:, 0], self.held[lane] - first, out=reach[:, 0])
        np.maximum.accumulate(reach, axis=1, out=reach)
        reach += done
        self.ends[:, low:high] = reach
        self.tail[lane] = reach[:, -1]

    def _wait(self, number: int) -> None:
        wait = self.loop.waits[number]
        offset = self.offsets[self.latest[wait.action]]
        begin, now = self.wait_begin[number] + offset, self.wait_over[number] + offset
        until = np.maximum(self._last_end(wait.targets), wait.running)
        for k, targets in self.changed.get(number, ()):
            until[k] = self._last_end(targets)[k] if targets else NEVER
        returned = np.where(until > begin, np.maximum(now, until + wait.wake), now)
        self.offsets[self.loop.clocks + number] = offset + returned - now

    def _last_end(self, targets: tuple[int, ...]) -> Int64:
        found = np.full(len(self.variants), NEVER, np.int64)
        for target in targets:
            place = int(self.place[target])
            self._run_until(int(self.loop.lane[target]), place + 1)
            np.maximum(found, self.ends[:, place], out=found)
        return found

    def _hold(self, number: int) -> None:
        hold = self.loop.holds[number]
        if hold.target < 0:
            return
        low, high = self.next[hold.lane], self.bounds[hold.lane + 1]
        queued = low + int(np.searchsorted(self.action[low:high], hold.action))
        self._run_until(hold.lane, queued)
        until = self._last_end((hold.target,)) + self.loop.timing.event_ns
        for k, one in enumerate(self.variants):
            if number in one.released:
                until[k] = NEVER
        np.maximum(self.held[hold.lane], until, out=self.held[hold.lane])


def _changed(variants: Sequence[Variant]) -> dict[int, list[tuple[int, tuple[int, ...]]]]:
    """Of each wait that variants change: which ones, and what each waits for instead."""
    found: dict[int, list[tuple[int, tuple[int, ...]]]] = {}
    for k, one in enumerate(variants):
        for number, targets in one.waits.items():
            found.setdefault(number, []).append((k, targets))
    return found


def _latest(loop: Loop, waits: Int64, actions: Int64) -> Int64:
    """Of each action, the row of `offsets` that it goes by: that of the last wait before it on its
    clock, or the clock's first."""
    found = loop.clock[actions].copy()
    for clock in range(loop.clocks):
        number = np.flatnonzero(loop.clock[waits] == clock)
        mine = np.flatnonzero(loop.clock[actions] == clock)
        before = np.searchsorted(waits[number], actions[mine], side="left") - 1
        some = before >= 0
        found[mine[some]] = loop.clocks + number[before[some]]
    return found
