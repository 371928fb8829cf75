"""Changes that concern calls of one kind: what those that take them away share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from ...model.arrays import Bool
from ..batch import Variant
from ..loop import Loop
from .base import Costs, Offer, steps_of

Chosen = Callable[[Loop], Bool]
"""Which actions of a loop they are."""


def without_calls(loop: Loop, costs: Costs, *, chosen: Chosen) -> Variant:
    """The loop without the time that these calls take."""
    del costs
    variant, mine = Variant.of(loop), chosen(loop)
    variant.own = np.where(mine, 0, loop.own)
    variant.waits = {n: () for n, wait in enumerate(loop.waits) if mine[wait.action]}
    return variant


def offer_of_calls(name: str, loops: Sequence[Loop], chosen: Chosen) -> list[Offer]:
    """One offer for all these calls, if there are any; called by the one that takes longest."""
    total: Counter[str] = Counter()
    where: Counter[str] = Counter()
    count = 0
    for loop in loops:
        rows = np.flatnonzero(chosen(loop) & loop.counted)
        count += len(rows)
        for row in rows.tolist():
            ns = int(loop.length[row])
            total[loop.call(row)] += ns
            where[loop.sites[int(loop.site[row])]] += ns
    if not count:
        return []
    steps, spent = steps_of(loops), sum(total.values())
    call, place = total.most_common(1)[0][0], where.most_common(1)[0][0]
    return [
        Offer(
            name, place, call, spent / steps, count / steps, spent / steps,
            partial(without_calls, chosen=chosen),
        )
    ]  # fmt: skip
