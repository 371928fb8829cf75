"""No stream waits for an event of another stream.

Waits that bring data are no part of it: for a collective or a copy from or to the host, and of a
collective for what it sends. To leave those out would be wrong, however much they cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..batch import Variant
from ..loop import TO_DEVICE, TO_HOST, Loop
from .base import Change, Costs, Offer, steps_of


def _loose(loop: Loop) -> list[int]:
    """Numbers of the waits that a program may be able to do without."""
    if not loop.holds:
        return []
    target = np.array([hold.target for hold in loop.holds])
    data = loop.talks | (loop.direction == TO_HOST) | (loop.direction == TO_DEVICE)
    brings = (target >= 0) & data[target]
    lane = np.array([hold.lane for hold in loop.holds])
    queued = loop.queued[[hold.action for hold in loop.holds]]
    for one in range(loop.lanes):
        mine, held = np.flatnonzero(loop.lane == one), np.flatnonzero(lane == one)
        first = np.searchsorted(mine, queued[held])  # of what was queued there afterwards
        some = first < len(mine)
        brings[held[some]] |= loop.talks[mine[first[some]]]
    found: list[int] = np.flatnonzero(~brings).tolist()
    return found


def _released(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.released = set(_loose(loop))
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    sites = [
        loop.sites[int(loop.site[hold.action])]
        for loop in loops
        for hold in (loop.holds[number] for number in _loose(loop))
        if loop.step[hold.action] > 0
    ]
    if not sites:
        return []
    where = max(sorted(set(sites)), key=sites.count)
    count = len(sites) / steps
    return [Offer(CHANGE.name, where, "cudaStreamWaitEvent", 0.0, count, float("inf"), _released)]


CHANGE = Change(
    "stream-waits",
    _offers,
    "without waits between streams",
    assumes="no trace says whether a wait between streams is needed",
)
