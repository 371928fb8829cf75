"""No stream waits for an event of another stream."""

from __future__ import annotations

from collections.abc import Sequence

from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of


def _released(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.released = set(range(len(loop.holds)))
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    sites = [
        loop.sites[int(loop.site[hold.action])]
        for loop in loops
        for hold in loop.holds
        if loop.step[hold.action] > 0
    ]
    if not sites:
        return []
    where = max(sorted(set(sites)), key=sites.count)
    return [
        Offer(
            CHANGE.name,
            where,
            "cudaStreamWaitEvent",
            0.0,
            len(sites) / steps,
            float("inf"),
            _released,
        )
    ]


CHANGE = Change("stream-waits", _offers, "no stream that waits for another")
