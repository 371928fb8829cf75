"""No launch takes far longer than launches of this loop usually do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...model.arrays import Bool
from ..loop import Loop
from .base import Change, Offer
from .calls import offer_of_calls

TIMES, LEAST_NS = 20, 200_000
"""Longer than both the usual launch that often, and this, a launch is slow."""


def slow(loop: Loop) -> Bool:
    """Which launches they are, those that wait for room in the queue or for a copy left out."""
    launching = loop.launching()
    launching[[wait.action for wait in loop.waits]] = False
    if not launching.any():
        return launching
    usual = float(np.median(loop.own[launching]))
    found: Bool = launching & (loop.own > max(TIMES * usual, LEAST_NS))
    return found


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    return offer_of_calls(CHANGE.name, loops, slow)


CHANGE = Change("slow-launches", _offers, "no launch that takes far longer than usual ({call})")
