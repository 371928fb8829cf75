"""Waits of the host by where they are, which `wait` removes and `hidden_wait` hides."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..loop import COPY, FLAGGED, FREED, POLL, STAGED, TO_HOST, Loop

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


def groups_of(loop: Loop) -> list[Group]:
    """The waits of a stretch in host order; copies from pageable memory, and
    calls that give memory back, are not among them."""
    found: list[Group] = []
    open_waits: list[int] = []
    for number, wait in enumerate(loop.waits):
        if wait.how in (STAGED, FREED):
            continue
        if open_waits and _launched_between(loop, open_waits[-1], number):
            found.append(_group(loop, open_waits))
            open_waits = []
        open_waits.append(number)
    if open_waits:
        found.append(_group(loop, open_waits))
    return found


def _launched_between(loop: Loop, earlier: int, later: int) -> bool:
    """Whether work was queued after one wait and before another; a copy that is itself waited for
    is part of its wait."""
    first, last = loop.waits[earlier].action, loop.waits[later].action
    if loop.clock[first] != loop.clock[last] or loop.step[first] != loop.step[last]:
        return True
    queued = int(loop.queued[last]) + (
        int(loop.count[last]) if loop.waits[later].how == COPY else 0
    )
    before = int(loop.queued[first] + loop.count[first])
    return bool((loop.direction[before:queued] != TO_HOST).any())


def _group(loop: Loop, waits: list[int]) -> Group:
    some = [loop.waits[number] for number in waits]
    reads = any(loop.direction[target] == TO_HOST for one in some for target in one.targets[-1:])
    how = {one.how for one in some}
    if how & {COPY} or (reads and not how & {POLL, FLAGGED}):
        call = READ
    elif POLL in how:
        call = POLLING
    elif FLAGGED in how:
        call = FLAG_WAIT
    else:
        call = max(some, key=lambda one: _held_ns(loop, one.action)).name
    head = some[0].action
    site = Site(loop.sites[int(loop.site[head])], call)
    return Group(
        site, int(loop.step[head]), tuple(waits), sum(_held_ns(loop, w.action) for w in some)
    )


def _held_ns(loop: Loop, action: int) -> int:
    """Length of the call as recorded; 0 of a wait that no call shows."""
    return int(loop.length[action])


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
    every = [target for number in group.waits for target in loop.waits[number].targets]
    return tuple(np.unique(every).tolist())
