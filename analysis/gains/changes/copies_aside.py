"""Copies between host and device run beside the kernels: on a stream of their own, in time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...model.arrays import Bool
from ..batch import Variant
from ..loop import NO_COPY, ON_DEVICE, STAGED, Loop
from .base import Change, Costs, Offer, steps_of

PAGEABLE = "pageable"
"""Most of the time of these copies is from or to pageable memory."""


def in_the_way(loop: Loop) -> Bool:
    """Which operations are copies from or to the host on a stream that also runs kernels."""
    kernels = np.unique(loop.lane[loop.direction == NO_COPY])
    copies = (loop.direction != NO_COPY) & (loop.direction != ON_DEVICE)
    found: Bool = copies & np.isin(loop.lane, kernels)
    return found


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
        )
    ]  # fmt: skip


CHANGE = Change(
    "copies-aside",
    _offers,
    "copies in a stream of their own, beside the kernels",
    assumes="copies set aside cost the kernels no bandwidth, and are done in time",
)
