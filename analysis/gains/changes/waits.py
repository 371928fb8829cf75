"""Waits of the host by where they are, which `wait` removes and `hidden_wait` hides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct

from ..loop import COPY, FLAGGED, FREED, POLL, STAGED, TO_HOST, Loop, Wait

READ = "read of a device value"
POLLING = "polling"
FLAG_WAIT = "wait for a flag in pinned memory"


class Site(Struct, frozen=True):
    """Where waits are, and what they are."""

    where: str
    call: str


class Group(Struct, frozen=True):
    """Waits that follow each other with no launch between them: one wait, as a person sees it."""

    site: Site
    step: int
    waits: tuple[int, ...]
    """Their numbers among the loop's."""
    ns: int
    """For how long the host was held, as recorded."""


_known: WeakKeyDictionary[Loop, tuple[Group, ...]] = WeakKeyDictionary()


def groups_of(loop: Loop) -> tuple[Group, ...]:
    """The waits of a stretch in host order; copies from pageable memory, and
    calls that give memory back, are not among them."""
    if loop not in _known:
        _known[loop] = tuple(_Grouping(loop).groups())
    return _known[loop]


class _Grouping:
    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        self.numbers = [n for n, wait in enumerate(loop.waits) if wait.how not in (STAGED, FREED)]
        self.held = [loop.waits[number] for number in self.numbers]
        action = np.array([wait.action for wait in self.held], np.int64)
        self.ns = [wait.ns for wait in self.held]
        self.step, self.site = loop.step[action].tolist(), loop.site[action].tolist()
        # Work that is no copy to the host, queued before and after each wait; a copy that is itself
        # waited for is part of its wait.
        work = np.concatenate(([0], np.cumsum(loop.direction != TO_HOST)))
        low, high = loop.queued[action], loop.queued[action] + loop.count[action]
        copies = np.array([wait.how == COPY for wait in self.held], np.bool_)
        before, after = work[np.where(copies, high, low)], work[high]
        self.apart = np.ones(len(action) + 1, np.bool_)
        self.apart[1:-1] = (
            (before[1:] > after[:-1])
            | (loop.clock[action][1:] != loop.clock[action][:-1])
            | (loop.step[action][1:] != loop.step[action][:-1])
        )

    def groups(self) -> Iterator[Group]:
        heads = np.flatnonzero(self.apart).tolist()
        for first, stop in pairwise(heads if self.held else ()):
            yield self._group(first, stop)

    def _group(self, first: int, stop: int) -> Group:
        some, ns = self.held[first:stop], self.ns[first:stop]
        site = Site(self.loop.sites[self.site[first]], self._call(some, ns))
        return Group(site, self.step[first], tuple(self.numbers[first:stop]), sum(ns))

    def _call(self, some: Sequence[Wait], ns: Sequence[int]) -> str:
        """What a person calls these waits, which held the host so long."""
        how = {one.how for one in some}
        last = [one.targets[-1] for one in some if one.targets]
        reads = any(self.loop.direction[target] == TO_HOST for target in last)
        if COPY in how or (reads and not how & {POLL, FLAGGED}):
            return READ
        if POLL in how:
            return POLLING
        return FLAG_WAIT if FLAGGED in how else some[ns.index(max(ns))].name


def by_site(loops: Sequence[Loop]) -> dict[Site, list[tuple[Loop, Group]]]:
    """All waits of a loop by where they are, those that held the host longest first."""
    found: dict[Site, list[tuple[Loop, Group]]] = defaultdict(list)
    for loop in loops:
        for group in groups_of(loop):
            found[group.site].append((loop, group))
    return dict(sorted(found.items(), key=lambda item: -sum(group.ns for _, group in item[1])))


def positions(groups: Sequence[Group]) -> dict[tuple[int, int], Group]:
    """Groups by (step, how many of their site were before it in that step)."""
    seen: dict[int, int] = defaultdict(int)
    found = {}
    for group in groups:
        found[group.step, seen[group.step]] = group
        seen[group.step] += 1
    return found


def targets(loop: Loop, group: Group) -> tuple[int, ...]:
    """All that it waits for."""
    every = {target for number in group.waits for target in loop.waits[number].targets}
    return tuple(sorted(every))
