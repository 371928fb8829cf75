"""No pause between launches is far longer than pauses of this loop can be.

For a host that is held up everywhere: by other threads that want the interpreter, by too few cores,
by a tracer. One stall in one place is no matter of this: that is time of the host in a range.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...model.arrays import Bool
from ...model.intervals import Int64
from ..batch import Variant
from ..loop import Loop
from .base import Change, Costs, Offer, steps_of

TIMES, LEAST_NS = 10, 150_000
"""Longer than the lower quartile of pauses that often, and than this, a pause is long."""
OFTEN = 0.25
"""Share of the pauses between launches that must be long: a host that is held up everywhere."""


BLOCKED = "blocked"
"""The recorder saw that the thread had no core."""


def usual_pause(loop: Loop) -> float:
    """The lower quartile of what the host does between two launches of a step, ns: what launching
    takes where nothing holds it up."""
    pause, _ = _pauses(loop)
    return float(np.quantile(pause, 0.25)) if len(pause) else 0.0


def _pauses(loop: Loop) -> tuple[Int64, Int64]:
    """The host's own time before each launch but the first of a step, and that launch."""
    rows = np.flatnonzero(loop.launching())
    if len(rows) < 2:
        return np.empty(0, np.int64), rows[:0]
    later = rows[1:][(np.diff(loop.step[rows]) == 0) & (np.diff(loop.clock[rows]) == 0)]
    return loop.before[later], later


def _long(loop: Loop) -> Bool:
    return loop.before > max(TIMES * usual_pause(loop), LEAST_NS)


def _cut(loop: Loop, costs: Costs) -> Variant:
    del costs
    variant = Variant.of(loop)
    variant.before = np.where(_long(loop), round(usual_pause(loop)), loop.before)
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    found = between = spent = count = 0
    for loop in loops:
        pause, _ = _pauses(loop)
        usual = usual_pause(loop)
        found += int(np.count_nonzero(pause > max(TIMES * usual, LEAST_NS)))
        between += len(pause)
        mine = _long(loop) & loop.counted
        spent += int((loop.before[mine] - usual).sum())
        count += int(np.count_nonzero(mine))
    if not between or found < OFTEN * between:
        return []
    steps = steps_of(loops)
    most, detail = spent / steps, BLOCKED if _blocked(loops) else ""
    return [Offer(CHANGE.name, "", "", most, count / steps, most, _cut, detail)]


def _blocked(loops: Sequence[Loop]) -> bool:
    """Whether the thread that runs the steps had no core for a good part of the ranges in which it
    launches: it wanted to go on, and was kept from it."""
    wall = ran = 0
    for loop in loops:
        sites = np.unique(loop.site[loop.launching()])
        wall += int(loop.site_wall[sites].sum())
        ran += int(loop.site_ran[sites].sum())
    return wall > 0 and ran < (1 - OFTEN) * wall


CHANGE = Change("long-pauses", _offers, "without long pauses between launches")
