"""The host does not wait in one place at all."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of
from .waits import Site, by_site, groups_of

MOST = 6
"""Places that are looked at."""


def removed(loop: Loop, costs: Costs, *, site: Site) -> Variant:
    """The loop without the waits there; a call that only waits is not made either."""
    del costs
    variant = Variant.of(loop)
    variant.own = loop.own.copy()
    for group in groups_of(loop):
        if group.site == site:
            for number in group.waits:
                variant.waits[number] = ()
                action = loop.waits[number].action
                if not loop.count[action]:
                    variant.own[action] = 0
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    return [
        Offer(
            CHANGE.name, site.where, site.call, sum(g.ns for _, g in mine) / steps,
            len(mine) / steps, float("inf"), partial(removed, site=site),
        )
        for site, every in list(by_site(loops).items())[:MOST]
        if (mine := [(loop, group) for loop, group in every if group.step > 0])
    ]  # fmt: skip


CHANGE = Change("wait", _offers, "without {call} in {where}")
