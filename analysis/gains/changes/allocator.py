"""No memory is asked of the driver or given back to it: no cudaMalloc, cudaFree or the like."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.arrays import Bool
from ...model.cuda_calls import is_allocating, named
from ..loop import Loop
from .base import Change, Offer
from .calls import offer_of_calls


def _allocating(loop: Loop) -> Bool:
    chosen: Bool = named(loop.stretch.trace.calls.names, is_allocating)[loop.name] & (
        loop.name >= 0
    )
    return chosen


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    return offer_of_calls(CHANGE.name, loops, _allocating)


CHANGE = Change("allocator", _offers, "without allocator calls ({call})")
