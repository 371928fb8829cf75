"""Between two waits of a step, all launches become one CUDA graph.

A graph holds launches, and the Python between them that does nothing but launch. A pause far longer
than those between launches usually are, a call of the allocator, or code that is loaded, is not in
it: there it ends, and another begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...model.intervals import Int64
from ..batch import Variant
from ..loop import Loop
from .allocator import _allocating as allocating
from .base import Change, Costs, Offer, steps_of
from .long_pauses import usual_pause
from .module_loading import _loading as loading
from .slow_launches import slow

TIMES, LEAST_NS = 20, 500_000
"""Longer than both the usual pause between launches that often, and this, a pause stays."""


def graphs_of(loop: Loop) -> list[tuple[int, int]]:
    """Runs of actions `[a, b)`, each from its first launch to its last one, two at least."""
    launching = loop.launching()
    if not launching.any():
        return []
    # What the host did since the launch before: its own time, and calls that launch nothing.
    taken = np.cumsum(loop.before + np.where(launching, 0, loop.own))
    rows = np.flatnonzero(launching)
    pause = np.diff(taken[rows], prepend=taken[rows[0]])
    usual = usual_pause(loop)
    breaks = np.zeros(loop.actions + 1, np.int64)
    breaks[[wait.action for wait in loop.waits]] = 1
    breaks[:-1] |= allocating(loop) | loading(loop) | slow(loop)
    between = np.cumsum(breaks)
    new = np.ones(len(rows), np.bool_)
    new[1:] = (
        (loop.step[rows[1:]] != loop.step[rows[:-1]])
        | (between[rows[1:]] != between[rows[:-1]])
        | (loop.clock[rows[1:]] != loop.clock[rows[:-1]])
        | (pause[1:] > max(TIMES * usual, LEAST_NS))
    )
    heads = np.flatnonzero(new)
    tails = np.append(heads[1:], len(rows)) - 1
    return [(int(rows[a]), int(rows[b]) + 1) for a, b in zip(heads, tails, strict=True) if b > a]


def graphed(loop: Loop, costs: Costs, *, base: Variant | None = None) -> Variant:
    """The loop with these graphs."""
    variant = Variant.of(loop) if base is None else base
    variant.before, variant.own = variant.before.copy(), variant.own.copy()
    variant.gap = variant.gap.copy()
    for first, stop in graphs_of(loop):
        mine: Int64 = np.flatnonzero(loop.clock[first:stop] == loop.clock[first]) + first
        low = int(loop.queued[first])
        high = int(loop.queued[stop - 1] + loop.count[stop - 1])
        variant.before[mine[1:]] = 0
        variant.own[mine] = 0
        # At the end of its time, as of every launch, the host goes on: all work is queued at once.
        variant.own[mine[-1]] = costs.graph_launch_ns + costs.graph_node_ns * (high - low)
        variant.gap[low + 1 : high] = loop.timing.node_gap_ns
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    spent = launches = 0
    for loop in loops:
        for first, stop in graphs_of(loop):
            if loop.step[first] == 0:
                continue
            spent += int(loop.before[first + 1 : stop].sum() + loop.own[first:stop].sum())
            launches += int(loop.launching()[first:stop].sum())
    if not launches:
        return []
    return [
        Offer(CHANGE.name, "", "", spent / steps, launches / steps, float("inf"), partial(graphed))
    ]


CHANGE = Change(
    "graph",
    _offers,
    "one CUDA graph between waits",
    assumes="a CUDA graph needs shapes and addresses that do not change",
)
