"""A late rank is on time: the collectives of another rank that waited for it end sooner.

How much sooner is not in a rank's own trace: it is read from the traces of all ranks together, and
one of another rank is then replayed with it. A trace by itself offers none.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...model.intervals import Int64
from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of


def on_time(rank: str, shorter: Int64, loops: Sequence[Loop]) -> Offer:
    """`rank`: the late one, as a person calls it; `shorter`: the start of a collective, and for how
    long it waited for that rank alone, ns, shape (collectives, 2). Those that stand in none of the
    stretches change nothing."""
    starts, first = np.unique(shorter[:, 0], return_index=True)
    change = partial(_sooner, starts=starts, waited=shorter[first, 1])
    steps = steps_of(loops)
    less = [_less(loop, starts, shorter[first, 1])[loop.counted[loop.action]] for loop in loops]
    spent = sum(int(one.sum()) for one in less) / steps
    count = sum(int(np.count_nonzero(one)) for one in less) / steps
    return Offer(CHANGE.name, rank, "", spent, count, float("inf"), change)


def _sooner(loop: Loop, costs: Costs, *, starts: Int64, waited: Int64) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.duration = variant.duration - _less(loop, starts, waited)
    return variant


def _less(loop: Loop, starts: Int64, waited: Int64) -> Int64:
    """By how much shorter each operation of a loop is, ns."""
    if len(starts) == 0:
        return np.zeros(len(loop.action), np.int64)
    at = np.minimum(np.searchsorted(starts, loop.recorded_start), len(starts) - 1)
    meant = loop.talks & (starts[at] == loop.recorded_start)
    return np.where(meant, np.minimum(waited[at], loop.duration), 0)


CHANGE = Change("late-rank", lambda loops: [], "with {name} on time")
