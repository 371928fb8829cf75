"""The host takes no time between its calls in one range: it is moved elsewhere, or made fast."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of

MOST = 8
"""Ranges that are looked at."""


def without(loop: Loop, costs: Costs, *, sites: frozenset[str], left: float = 0.0) -> Variant:
    """The loop with `left` of the host's time in these ranges."""
    del costs
    variant = Variant.of(loop)
    numbers = [k for k, name in enumerate(loop.sites) if name in sites]
    mine = np.isin(loop.piece_site, numbers)
    taken = np.bincount(loop.piece_action[mine], loop.piece_ns[mine], minlength=loop.actions)
    variant.before = loop.before - np.rint(taken * (1 - left)).astype(np.int64)
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    spent: Counter[str] = Counter()
    for loop in loops:
        ns = np.where(loop.counted[loop.piece_action], loop.piece_ns, 0)
        total = np.bincount(loop.piece_site, ns, minlength=len(loop.sites))
        spent.update(dict(zip(loop.sites, total.tolist(), strict=True)))
    steps = steps_of(loops)
    return [
        Offer(
            CHANGE.name, site, "", taken / steps, 1.0, taken / steps,
            partial(without, sites=frozenset((site,))),
        )
        for site, taken in spent.most_common(MOST)
        if taken > 0
    ]  # fmt: skip


CHANGE = Change("host", _offers, "without host time in {where}")
