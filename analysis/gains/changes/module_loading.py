"""No code is loaded or compiled by the driver in the loop: it is loaded before."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from msgspec.structs import replace

from ...model.arrays import Bool
from ...model.cuda_calls import named
from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of
from .calls import offer_of_calls, without_calls

_LOADING = re.compile(
    r"(cu|hip)(Module(Load|Unload)|LibraryLoad|LibraryUnload|Link)|nvrtc|cudaLibrary"
)


def _loading(loop: Loop) -> Bool:
    names = loop.stretch.trace.calls.names
    chosen: Bool = named(names, _LOADING.match)[loop.name] & (loop.name >= 0)
    return chosen


def _loaded(loop: Loop, costs: Costs) -> Variant:
    variant = without_calls(loop, costs, chosen=_loading)
    variant.before = np.where(_loading(loop), 0, loop.before)
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    """Of the calls, with what the host does right before: the code is made there."""
    steps = steps_of(loops)
    before = sum(int(loop.before[_loading(loop) & loop.counted].sum()) for loop in loops) / steps
    return [
        replace(one, spent_ns=one.spent_ns + before, most_ns=one.most_ns + before, apply=_loaded)
        for one in offer_of_calls(CHANGE.name, loops, _loading)
    ]


CHANGE = Change("module-loading", _offers, "with kernels loaded before the loop ({call})")
