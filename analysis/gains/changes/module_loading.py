"""No code is loaded or compiled by the driver in the loop: it is loaded before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...model.arrays import Bool
from ...model.cuda_calls import named
from ..loop import Loop
from .base import Change, Offer
from .calls import offer_of_calls

_LOADING = re.compile(
    r"(cu|hip)(Module(Load|Unload)|LibraryLoad|LibraryUnload|Link)|nvrtc|cudaLibrary"
)


def _loading(loop: Loop) -> Bool:
    names = loop.stretch.trace.calls.names
    chosen: Bool = named(names, _LOADING.match)[loop.name] & (loop.name >= 0)
    return chosen


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    return offer_of_calls(CHANGE.name, loops, _loading)


CHANGE = Change("module-loading", _offers, "no code loaded by the driver ({call})")
