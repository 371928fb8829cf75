"""Between two waits of a step, all launches become one CUDA graph.

A graph holds launches, and the Python between them that does nothing but launch. A pause far longer
than those between launches usually are, a call of the allocator, or code that is loaded, is not in
it: there it ends, and another begins.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from ...model.arrays import Bool
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


def graphs_of(loop: Loop) -> list[Int64]:
    """The actions of each graph: one thread's, from its first launch to its last one, two launches
    at least."""
    launching = loop.launching()
    apart = allocating(loop) | loading(loop) | slow(loop)
    apart[[wait.action for wait in loop.waits]] = True
    found = []
    for clock in range(loop.clocks):
        mine = np.flatnonzero(loop.clock == clock)
        found += _graphs(loop, mine, launching[mine] & ~apart[mine], apart[mine])
    return sorted(found, key=lambda run: int(run[0]))


def _graphs(loop: Loop, mine: Int64, launching: Bool, apart: Bool) -> list[Int64]:
    """Of the actions of one thread; `apart`: those that no graph holds."""
    # What the host did since the launch before: its own time, and calls that launch nothing.
    taken = np.cumsum(loop.before[mine] + np.where(launching, 0, loop.own[mine]))
    rows = np.flatnonzero(launching)
    if len(rows) < 2:
        return []
    pause, step, between = np.diff(taken[rows]), loop.step[mine][rows], np.cumsum(apart)[rows]
    new = (
        (np.diff(step) != 0)
        | (np.diff(between) != 0)
        | (pause > max(TIMES * usual_pause(loop), LEAST_NS))
    )
    heads = np.concatenate(([0], np.flatnonzero(new) + 1))
    tails = np.append(heads[1:], len(rows)) - 1
    edges = zip(rows[heads].tolist(), rows[tails].tolist(), strict=True)
    return [mine[first : last + 1] for first, last in edges if last > first]


def graphed(loop: Loop, costs: Costs, *, base: Variant | None = None) -> Variant:
    """The loop with these graphs."""
    variant = Variant.of(loop) if base is None else base
    variant.before, variant.own = variant.before.copy(), variant.own.copy()
    variant.gap = variant.gap.copy()
    for run in graphs_of(loop):
        first = np.repeat(loop.queued[run], loop.count[run])
        nodes = (
            first
            + np.arange(len(first))
            - np.repeat(np.cumsum(loop.count[run]) - loop.count[run], loop.count[run])
        )
        variant.before[run[1:]] = 0
        variant.own[run] = 0
        # At the end of its time, as of every launch, the host goes on: all work is queued at once.
        variant.own[run[-1]] = costs.graph_launch_ns + costs.graph_node_ns * len(nodes)
        variant.gap[nodes[1:]] = loop.timing.node_gap_ns
    return variant


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    steps = steps_of(loops)
    spent = launches = 0
    gaps = lent = 0.0
    for loop in loops:
        for run in graphs_of(loop):
            if loop.step[run[0]] == 0:
                continue
            spent += int(loop.before[run[1:]].sum() + loop.own[run].sum())
            launches += int(np.count_nonzero(loop.count[run]))
            shorter = max(0, loop.timing.gap_ns - loop.timing.node_gap_ns)
            between = int(np.count_nonzero(loop.count[run])) - 1
            gaps += shorter * between
            # Without a graph in the trace, the time between two nodes is another machine's.
            lent += 0 if loop.chained.any() else loop.timing.node_gap_ns * between
    if not launches:
        return []
    return [
        Offer(
            CHANGE.name, "", "", spent / steps, launches / steps, float("inf"), partial(graphed),
            gaps_ns=gaps / steps, unsure_ns=lent / steps,
        )
    ]  # fmt: skip


CHANGE = Change(
    "graph",
    _offers,
    "launches between waits as one CUDA graph",
    assumes="a CUDA graph needs shapes and addresses that do not change",
)
