"""The nodes of a CUDA graph follow each other at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of


def _at_once(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.gap = np.where(loop.chained, 0, variant.gap)
    variant.duration = np.where(loop.chained, loop.duration, variant.duration)
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    spent = count = 0
    for loop in loops:
        mine = loop.chained & loop.counted[loop.action]
        between = loop.recorded_start[1:] - loop.recorded_end[:-1]
        spent += int(np.maximum(between, 0)[mine[1:]].sum())
        count += int(mine.sum())
    if not count:
        return []
    most = spent / steps
    return [Offer(CHANGE.name, "", "", most, count / steps, most, _at_once)]


CHANGE = Change("graph-gaps", _offers, "without gaps inside CUDA graphs", of_host=False)
