"""Copies from pageable memory come from pinned memory, and the host does not wait for them."""

from __future__ import annotations

from collections.abc import Sequence

from ..batch import Variant
from ..loop import STAGED, Loop, Wait
from .base import Change, Costs, Offer, steps_of


def _staged(loop: Loop) -> list[tuple[int, Wait]]:
    return [(number, wait) for number, wait in enumerate(loop.waits) if wait.how == STAGED]


def _asynchronous(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.waits = dict.fromkeys((number for number, _ in _staged(loop)), ())
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    found = [
        (loop, wait) for loop in loops for _, wait in _staged(loop) if loop.step[wait.action] > 0
    ]
    if not found:
        return []
    steps = steps_of(loops)
    spent = sum(int(loop.length[wait.action]) for loop, wait in found)
    loop, wait = found[0]
    where = loop.sites[int(loop.site[wait.action])]
    count = len(found) / steps
    return [Offer(CHANGE.name, where, wait.name, spent / steps, count, float("inf"), _asynchronous)]


CHANGE = Change("pageable-copies", _offers, "copies from pinned memory, asynchronously")
