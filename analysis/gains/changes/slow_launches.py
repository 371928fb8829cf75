"""No launch takes far longer than launches of this loop usually do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from ...model.arrays import Bool
from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer
from .calls import offer_of_calls

TIMES, LEAST_NS = 20, 200_000
"""Longer than both the usual launch that often, and this, a launch is slow."""


def slow(loop: Loop) -> Bool:
    """Which launches they are, those that wait for room in the queue or for a copy left out."""
    launching = _free(loop)
    if not launching.any():
        return launching
    found: Bool = launching & (loop.own > max(TIMES * _usual(loop), LEAST_NS))
    return found


def _free(loop: Loop) -> Bool:
    """Which launches wait for nothing."""
    launching = loop.launching()
    launching[[wait.action for wait in loop.waits]] = False
    return launching


def _usual(loop: Loop) -> int:
    """How long a launch usually takes, ns; 0 where there is none."""
    own = loop.own[_free(loop)]
    return int(np.median(own)) if len(own) else 0


def as_usual(loop: Loop, costs: Costs) -> Variant:
    """The loop with launches that take as long as they usually do."""
    del costs
    variant = Variant.of(loop)
    variant.own = np.where(slow(loop), _usual(loop), loop.own)
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    return [replace(offer, apply=as_usual) for offer in offer_of_calls(CHANGE.name, loops, slow)]


CHANGE = Change("slow-launches", _offers, "without slow launches ({call})")
