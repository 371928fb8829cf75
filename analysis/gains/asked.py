"""Changes that are asked for by name: `harness predict --from TRACE --without GLOB` and kin, and
what ranks would not wait for a late one."""

from __future__ import annotations

import fnmatch
from collections.abc import Sequence
from functools import partial

import numpy as np

from ..question import AskedChange
from .batch import Variant
from .changes import late_rank
from .changes.base import Costs, Offer, steps_of
from .changes.host_time import without
from .changes.wait import removed
from .changes.waits import by_site
from .errors import NoSuchRange
from .loop import Loop
from .sites import NOWHERE

DOES = {
    "without": "no host time and no wait in '{glob}'",
    "scale": "host time in '{glob}' x {factor:g}",
    "overlap": "'{glob}' on another thread, beside the step",
}


def offer_of(asked: AskedChange, loops: Sequence[Loop]) -> Offer:
    """The change, in the ranges of these stretches that it means. Raises NoSuchRange if none."""
    if asked.what == late_rank.CHANGE.name:
        shorter = np.frombuffer(asked.shorter, np.int64).reshape(-1, 2)
        return late_rank.on_time(asked.glob, shorter, loops)
    sites = {name for loop in loops for name in loop.sites}
    found = frozenset(name for name in sites if _means(asked.glob, name))
    steps = steps_of(loops)
    spent = sum(_spent(loop, found) for loop in loops) / steps
    if not found or (asked.what != "scale" and not spent and not _waits(loops, found)):
        known = sorted(name for name in sites if name != NOWHERE)
        raise NoSuchRange(
            f"no range of the steps matches {asked.glob!r}",
            remedy=f"the steps have {', '.join(known[:6]) or 'no ranges'}",
        )
    left = asked.factor if asked.what == "scale" else 0.0
    change = partial(_changed, sites=found, left=left, waits=asked.what == "without")
    what = DOES[asked.what].format(glob=asked.glob, factor=asked.factor)
    # A thread beside the step takes as long as its own work does.
    least = spent if asked.what == "overlap" else 0.0
    return Offer(asked.what, what, "", spent, 1.0, float("inf"), change, least_ns=least)


def _means(glob: str, name: str) -> bool:
    return glob == name or fnmatch.fnmatchcase(name, glob)


def _spent(loop: Loop, sites: frozenset[str]) -> int:
    numbers = [k for k, name in enumerate(loop.sites) if name in sites]
    mine = np.isin(loop.piece_site, numbers) & loop.counted[loop.piece_action]
    return int(loop.piece_ns[mine].sum())


def _waits(loops: Sequence[Loop], sites: frozenset[str]) -> bool:
    return any(site.where in sites for site in by_site(loops))


def _changed(
    loop: Loop, costs: Costs, *, sites: frozenset[str], left: float, waits: bool
) -> Variant:
    variant = without(loop, costs, sites=sites, left=left)
    for site in by_site([loop]) if waits else ():
        if site.where in sites:
            less = removed(loop, costs, site=site)
            variant.own = np.minimum(variant.own, less.own)
            variant.waits |= less.waits
    return variant
