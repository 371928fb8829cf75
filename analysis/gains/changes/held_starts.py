"""No work starts later than its launch, its stream and its events allow."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of


def _at_once(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.duration = loop.duration
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    each = [loop.late[loop.counted[loop.action]] for loop in loops]
    late = sum(int(some.sum()) for some in each)
    count = sum(int(np.count_nonzero(some)) for some in each)
    if not late:
        return []
    return [Offer(CHANGE.name, "", "", late / steps, count / steps, late / steps, _at_once)]


CHANGE = Change("held-starts", _offers, "without late starts on the GPU")
