"""One wait is for the step before: what it reads is read one step later."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer
from .wait import _offers as offers_of_waits
from .waits import Site, groups_of, positions, targets


def hidden(loop: Loop, costs: Costs, *, site: Site) -> Variant:
    """Each wait there is for what the same wait of the step before waited for, through an event."""
    variant = Variant.of(loop)
    variant.own = loop.own.copy()
    mine = positions([group for group in groups_of(loop) if group.site == site])
    for (step, place), group in mine.items():
        earlier = mine.get((step - 1, place))
        late = targets(loop, earlier) if earlier else ()
        for number in group.waits:
            variant.waits[number] = ()
            action = loop.waits[number].action
            if not loop.count[action]:
                variant.own[action] = 0
        last = group.waits[-1]
        variant.waits[last] = late
        variant.own[loop.waits[last].action] += costs.event_record_ns + costs.event_wait_ns
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    return [
        Offer(
            CHANGE.name, one.where, one.call, one.spent_ns, one.count, one.most_ns,
            partial(hidden, site=Site(one.where, one.call)),
        )
        for one in offers_of_waits(loops)
    ]  # fmt: skip


CHANGE = Change(
    "hidden-wait",
    _offers,
    "{call} in {where}, one step later",
    assumes="a hidden wait is for the step before, through an event",
)
