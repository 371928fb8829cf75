"""The host neither waits nor computes in one range: it does nothing there but launch."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of
from .host_time import without
from .wait import removed
from .waits import by_site

MOST = 4
"""Ranges that are looked at."""


def emptied(loop: Loop, costs: Costs, *, where: str) -> Variant:
    """The loop without the waits and the host's time in this range."""
    variant = without(loop, costs, sites=frozenset((where,)))
    for site in by_site([loop]):
        if site.where == where:
            less = removed(loop, costs, site=site)
            variant.own = np.minimum(variant.own, less.own)
            variant.waits |= less.waits
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    spent: dict[str, float] = {}
    for site, mine in by_site(loops).items():
        held = sum(group.ns for _, group in mine if group.step > 0) / steps
        spent[site.where] = spent.get(site.where, 0.0) + held
    for loop in loops:
        for where in spent:
            numbers = [k for k, name in enumerate(loop.sites) if name == where]
            for number in numbers:
                mine_ns = loop.piece_ns[
                    (loop.piece_site == number) & loop.counted[loop.piece_action]
                ]
                spent[where] += int(mine_ns.sum()) / steps
    return [
        Offer(
            CHANGE.name, where, "", ns, 1.0, float("inf"), partial(emptied, where=where)
        )
        for where, ns in sorted(spent.items(), key=lambda item: -item[1])[:MOST]
    ]  # fmt: skip


CHANGE = Change("place", _offers, "without waits and host time in {where}")
