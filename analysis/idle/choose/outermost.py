"""Which family of ranges is the steps: the outermost that repeats and holds the work."""

from __future__ import annotations

from collections import Counter

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool
from ...model.intervals import Int64
from ..infer.period import regular_spacing
from .families import Family, Holds
from .names import says_epoch, says_part, says_step

MOST = 0.5
"""Share of its thread's launches between its first and its last range that a family holds."""
NEARLY_ALL = 0.8
"""The same for a family that neither number nor name calls steps."""
SOME = 0.25
"""Share of all launches of the process that a family of steps holds."""
EVEN = 0.75
"""Share of the periods that are between half and twice the usual one in a family that is even."""
INSIDE = 0.8
"""Share of a family's ranges that lie inside another's from which it is inside."""
FEW = 5
"""Repeats below which a family may hold steps rather than be them."""
MANY = 4
"""Times as many repeats as the family around it from which one inside is many."""


class Judged(Struct, frozen=True, eq=False):
    """A family, what it holds, and why it is no family of steps; None if it may be one."""

    family: Family
    held: Holds | None
    why_not: str | None


def judged(found: list[Family], held: list[Holds] | None) -> list[Judged]:
    """Each family by itself. `held` as `families.held_by` gives it."""
    holding = [None] * len(found) if held is None else held
    siblings = [
        family for family, holds in zip(found, holding, strict=True) if holds is None or holds.own
    ]
    return [
        Judged(family, holds, _why_not(family, holds, siblings))
        for family, holds in zip(found, holding, strict=True)
    ]


def outermost(all_judged: list[Judged]) -> list[Judged]:
    """Of those that may be steps, the ones inside no other; of epochs, what they hold."""
    left = [one for one in all_judged if one.why_not is None]
    gone: set[int] = set()
    for k, inner in enumerate(left):
        for j, outer in enumerate(left):
            if k != j and _inside(inner.family, outer.family):
                gone.add(j if _gives_way(outer.family, inner.family) else k)
    return [one for k, one in enumerate(left) if k not in gone]


def best(finalists: list[Judged]) -> str | None:
    """The name of the family that holds most, over all threads; of equal ones the one with more
    ranges, then that which begins first."""
    if not finalists:
        return None
    work: Counter[str] = Counter()
    count: Counter[str] = Counter()
    begins: dict[str, int] = {}
    for one in finalists:
        name = one.family.name
        work[name] += one.held.process if one.held else 0
        count[name] += len(one.family)
        begins[name] = min(begins.get(name, int(one.family.start[0])), int(one.family.start[0]))
    return min(work, key=lambda name: (-work[name], -count[name], begins[name], name))


def _why_not(family: Family, held: Holds | None, siblings: list[Family]) -> str | None:
    if held is not None and not held.own:
        return "launches no work"
    if says_part(family.name):
        return "is a part of a step by its name"
    if family.overlaps:
        return "overlaps itself"
    counts, named = _counts(family.number), says_step(family.name) or says_epoch(family.name)
    if counts == _RESTARTS and not named:
        return "is numbered anew again and again, as the parts of a step are"
    if held is not None and held.own < MOST * held.between:
        return "holds less than half of the launches"
    if held is not None and held.process < SOME * held.of_process:
        return f"holds {held.process / held.of_process:.0%} of the launches"
    if counts == _RISES or named:
        return None if counts == _RISES or _even(family) else "comes back unevenly"
    return _why_not_unnamed(family, held, siblings)


def _why_not_unnamed(family: Family, held: Holds | None, siblings: list[Family]) -> str | None:
    """Of a family that neither number nor name calls steps."""
    if held is None:
        return "has no number, and no launch tells that it is a step"
    if not _even(family):
        return "comes back unevenly"
    if held.own < NEARLY_ALL * held.between:
        return f"holds {held.own / held.between:.0%} of the launches"
    if regular_spacing(_late(family)):
        return "comes several times in a longer period"
    if any(_by_turns(family, other) for other in siblings):
        return "takes turns with others that launch"
    return None


_RISES, _RESTARTS, _NONE = "rises", "restarts", "none"


def _counts(number: Int64) -> str:
    """Whether the numbers of a family count its ranges: from end to end, or again and again."""
    step = np.diff(number)
    if (number < 0).any() or len(step) == 0 or not step.any():
        return _NONE
    falls = int(np.count_nonzero(step <= 0))
    if falls == 0:
        return _RISES
    return _RESTARTS if falls < MOST * len(step) else _NONE


def _late(family: Family) -> Bool:
    """Which ranges come late after the one before; shape (n - 1,)."""
    period = np.diff(family.start)
    late: Bool = period > 2 * np.median(period)
    return late


def _even(family: Family) -> bool:
    period = np.diff(family.start)
    usual = float(np.median(period))
    return bool(np.mean((period >= usual / 2) & (period <= 2 * usual)) >= EVEN)


def _by_turns(family: Family, other: Family) -> bool:
    """Whether one of the other's comes after each of these, outside of it, on the same thread."""
    if other is family or other.thread != family.thread or abs(len(other) - len(family)) > 1:
        return False
    at = np.searchsorted(family.start, other.start, side="right") - 1
    behind = (at >= 0) & (other.start >= family.end[np.maximum(at, 0)])
    return bool(behind.mean() >= INSIDE and np.mean(np.diff(at) == 1) >= INSIDE)


def _inside(inner: Family, outer: Family) -> bool:
    if inner.process != outer.process or inner.within(outer) < INSIDE:
        return False
    # Two that enclose each other are one thing with two names: the first in order stays.
    return outer.within(inner) < INSIDE or _rank(outer) < _rank(inner)


def _rank(family: Family) -> tuple[bool, int, str]:
    return not says_step(family.name), family.thread, family.name


def _gives_way(outer: Family, inner: Family) -> bool:
    """Whether what is inside is the step: many of what calls itself one, in few of what does not,
    or in epochs."""
    if not (says_step(inner.name) or _counts(inner.number) != _NONE):
        return False
    if says_epoch(outer.name):
        return len(inner) > len(outer)
    few = len(outer) < FEW and not says_step(outer.name)
    return few and len(inner) >= MANY * len(outer)
