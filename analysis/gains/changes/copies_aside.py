"""Copies between host and device run beside the kernels: on a stream of their own, in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...model.arrays import Bool
from ..batch import Variant
from ..loop import NO_COPY, STAGED, TO_DEVICE, TO_HOST, Loop
from .base import Change, Costs, Offer, steps_of

PAGEABLE = "pageable"
"""Most of the time of these copies is from or to pageable memory."""


def in_the_way(loop: Loop) -> Bool:
    """Which operations are copies from or to the host on a stream that also runs kernels, or that
    such a stream waits for."""
    kernels = np.unique(loop.lane[loop.direction == NO_COPY])
    waited = [hold.target for hold in loop.holds if hold.target >= 0 and hold.lane in kernels]
    found = np.isin(loop.lane, kernels)
    found[waited] = True
    found &= (loop.direction == TO_HOST) | (loop.direction == TO_DEVICE)
    return found


def _beside(loops: Sequence[Loop]) -> float:
    """How long the copies of one direction take, which run one after the other, ns a step; from
    pageable memory left out, since from pinned memory they are faster."""
    total = np.zeros(2)
    for loop in loops:
        for k, way in enumerate((TO_HOST, TO_DEVICE)):
            mine = (loop.direction == way) & ~loop.pageable & loop.counted[loop.action]
            total[k] += int(loop.duration[mine].sum())
    return float(total.max()) / steps_of(loops)


def _aside(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    mine = in_the_way(loop)
    variant.duration = np.where(mine, 0, variant.duration)
    variant.gap = np.where(mine, 0, variant.gap)
    own = set(np.flatnonzero(mine).tolist())
    variant.waits = {
        number: ()
        for number, wait in enumerate(loop.waits)
        if wait.how == STAGED and own.issuperset(wait.targets)
    }
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    masks = [in_the_way(loop) & loop.counted[loop.action] for loop in loops]
    pairs = list(zip(loops, masks, strict=True))
    spent = sum(int(loop.duration[mask].sum()) for loop, mask in pairs)
    pageable = sum(int(loop.duration[mask & loop.pageable].sum()) for loop, mask in pairs)
    count = sum(int(mask.sum()) for mask in masks)
    if not count:
        return []
    longest, mask = max(pairs, key=lambda pair: int(pair[0].duration[pair[1]].sum()))
    rows = np.flatnonzero(mask)
    row = int(rows[np.argmax(longest.duration[rows])])
    action = int(longest.action[row])
    where = longest.sites[int(longest.site[action])]
    return [
        Offer(
            CHANGE.name, where, longest.call(action), spent / steps, count / steps,
            float("inf"), _aside, PAGEABLE if 2 * pageable > spent else "",
            least_ns=_beside(loops),
        )
    ]  # fmt: skip


CHANGE = Change(
    "copies-aside",
    _offers,
    "copies in a stream of their own, beside the kernels",
    assumes="copies set aside cost the kernels no bandwidth, and are done in time",
)
