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
from .loop import NEVER, Loop


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
    def __init__(self, loop: Loop, variants: Sequence[Variant]) -> None:
        self.loop, self.variants = loop, variants
        k = len(variants)
        timing = loop.timing
        before = np.stack([one.before for one in variants])
        taken = before + np.stack([one.own for one in variants])
        # When each action is over, and when it begins, if its clock never waits.
        self.over = np.empty((k, loop.actions), np.int64)
        for clock in range(loop.clocks):
            mine = slice(None) if loop.clocks == 1 else np.flatnonzero(loop.clock == clock)
            self.over[:, mine] = np.cumsum(taken[:, mine], axis=1)
        self.begin = self.over - taken + before
        self.order = np.argsort(loop.lane, kind="stable")
        self.bounds = np.searchsorted(loop.lane[self.order], np.arange(loop.lanes + 1))
        action = loop.action[self.order]
        duration = np.stack([one.duration for one in variants])[:, self.order]
        busy = duration + np.stack([one.gap for one in variants])[:, self.order]
        # What a stream has done before each operation's end if it never waits.
        self.done = np.cumsum(busy, axis=1)
        ready = self.begin[:, action] + timing.latency_ns
        self.earliest = ready + duration - self.done
        self.length = duration
        self.lane_action = action
        self.lane_clock = loop.clock[action]
        self.ends = np.zeros((k, len(loop.action)), np.int64)
        self.place = np.empty(len(self.order), np.int64)
        self.place[self.order] = np.arange(len(self.order))
        self.offset = np.full((loop.clocks, k), loop.stretch.begin, np.int64)
        self.held = np.full((loop.lanes, k), NEVER, np.int64)
        self.tail = np.full((loop.lanes, k), NEVER, np.int64)
        self.next = self.bounds[:-1].copy()
        for lane, until in enumerate(loop.running.tolist()):
            self.tail[lane] = until

    def play(self) -> Int64:
        loop = self.loop
        waits = {wait.action: number for number, wait in enumerate(loop.waits)}
        holds = {hold.action: number for number, hold in enumerate(loop.holds)}
        for action in sorted(waits.keys() | holds.keys()):
            self._run_until(action + 1)
            if action in waits:
                self._wait(action, waits[action])
            if action in holds:
                self._hold(action, holds[action])
        self._run_until(loop.actions)
        found = np.empty_like(self.ends)
        found[:, self.order] = self.ends
        return found

    def _run_until(self, action: int) -> None:
        """Queue the work of all actions before this one."""
        for lane in range(self.loop.lanes):
            low, stop = int(self.next[lane]), int(self.bounds[lane + 1])
            high = low + int(np.searchsorted(self.lane_action[low:stop], action, side="left"))
            if high > low:
                self._run(lane, low, high)
                self.next[lane] = high

    def _run(self, lane: int, low: int, high: int) -> None:
        reach = self.earliest[:, low:high]
        if self.loop.clocks == 1:
            reach = reach + self.offset[0][:, None]
        else:
            reach = reach + self.offset[self.lane_clock[low:high]].T
        done = self.done[:, low:high]
        first = done[:, 0] - self.length[:, low]
        # `first` holds the gap before the operation: a stream without earlier work needs none.
        before = np.where(self.tail[lane] == NEVER, NEVER, self.tail[lane] - self._before(low))
        np.maximum(reach[:, 0], before, out=reach[:, 0])
        np.maximum(reach[:, 0], self.held[lane] - first, out=reach[:, 0])
        np.maximum.accumulate(reach, axis=1, out=reach)
        reach += done
        self.ends[:, low:high] = reach
        self.tail[lane] = reach[:, -1]

    def _before(self, low: int) -> Int64:
        """What the sums of streams hold before the operation at this place."""
        return self.done[:, low - 1] if low else np.zeros(len(self.variants), np.int64)

    def _wait(self, action: int, number: int) -> None:
        loop, wait = self.loop, self.loop.waits[number]
        clock = int(loop.clock[action])
        begin = self.begin[:, action] + self.offset[clock]
        now = self.over[:, action] + self.offset[clock]
        until = np.maximum(self._last_end(wait.targets), wait.running)
        for k, one in enumerate(self.variants):
            if number in one.waits:
                until[k] = self._last_end(one.waits[number])[k]
        returned = np.where(until > begin, np.maximum(now, until + wait.wake), now)
        self.offset[clock] += returned - now

    def _last_end(self, targets: tuple[int, ...]) -> Int64:
        if not targets:
            return np.full(len(self.variants), NEVER, np.int64)
        found: Int64 = self.ends[:, self.place[list(targets)]].max(axis=1)
        return found

    def _hold(self, action: int, number: int) -> None:
        hold = self.loop.holds[number]
        if hold.target < 0:
            return
        until = self._last_end((hold.target,)) + self.loop.timing.event_ns
        for k, one in enumerate(self.variants):
            if number in one.released:
                until[k] = NEVER
        np.maximum(self.held[hold.lane], until, out=self.held[hold.lane])
