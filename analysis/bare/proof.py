"""Whether what is left without the recorder's costs is what the loop takes without a recorder.

Half of the pairs of blocks, every other one, say how many times as much the recorder costs as it is
known to; the other half, which that never saw, says by how much the step that results is off.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from msgspec import Struct

from ..model.trace import Trace
from ..statistics.interval import Interval
from .blocks import Blocks, NoBlocks, pairs_of, read_blocks
from .costs import Costs, graph_nodes
from .prior import Prior, priors
from .ratio import ratio_of
from .result import AsRecorded, Bare
from .step import SteadyStep, steady_step
from .take_out import BareTimes, Recorded, read_recorded

WITHIN = 0.03
"""Share by which the bare step may miss that of blocks which the fit never saw, and half the width
of the interval of what the recorder adds."""
MOST_TIMES = 4.0
"""Times its prior that a recorder may cost."""
LEAST_PAIRS = 4
"""Pairs below which one half of them has no interval."""
SPREAD = 2.0
"""Hosts differ: a recorder may well cost so many times what is known of it, or so much less."""
_GRID, _FINE = 13, 2001
_NORMAL = 1.96
_SURE, _UNSURE = 5e-3, 1.0
"""Standard errors of a ratio: what is taken out is known no better than that; or not at all."""


class Proved(Struct, frozen=True, eq=False):
    """The proof, the bare times, and the trace with these."""

    bare: Bare
    times: BareTimes
    trace: Trace


def prove(trace: Trace, known: Mapping[str, Prior] | None = None) -> Proved | AsRecorded:
    """The proof, or why there is none. `known`: what recorders cost, where that
    is not what comes with the harness."""
    blocks = read_blocks(trace.source.manifest)
    if isinstance(blocks, NoBlocks):
        return AsRecorded(blocks.reason)
    pairs = pairs_of(blocks)
    if len(pairs) < LEAST_PAIRS:
        few = f"{_count(len(pairs), 'recorded block')} between two without the recorder"
        return AsRecorded(f"{few} {_is(len(pairs))} too few to fit and to test")
    ratio = ratio_of(pairs)
    width = max(ratio.high / ratio.estimate, ratio.estimate / ratio.low) - 1
    if width > WITHIN:
        return AsRecorded(f"pairs of bare and recorded blocks differ among themselves by "
                          f"{_percent(width)}")  # fmt: skip
    prior = (priors() if known is None else known).get(blocks.recorder)
    if prior is None:
        return AsRecorded(f"what {_name(blocks.recorder)} costs a call was never measured")
    step = steady_step(trace)
    if step is None:
        return AsRecorded("the trace has no steady state")
    fitted = ratio_of(pairs.other(0))
    held_out = ratio_of(pairs.other(1))
    known_costs = prior.middle
    source = read_recorded(trace, with_ranges=known_costs.range > 0)
    factor = fitted_factor(source, step, known_costs, fitted)
    costs = known_costs.scaled(factor)
    times = source.without([costs])[0]
    bare_trace = times.trace()
    after = steady_step(bare_trace)
    if after is None:
        return AsRecorded("the bare timeline has no steady state")
    off = [
        after.ns / (step.ns / one) - 1 for one in (held_out.estimate, held_out.low, held_out.high)
    ]
    if abs(off[0]) > WITHIN:
        return AsRecorded(f"without what the recorder costs a step misses bare blocks by "
                          f"{_percent(abs(off[0]))}")  # fmt: skip
    nodes = bool(graph_nodes(trace.operations).any())
    found = _bare(blocks, costs, factor, ratio, off, step, after, nodes=nodes)
    return Proved(found, times, bare_trace)


def _bare(
    blocks: Blocks,
    costs: Costs,
    factor: float,
    ratio: Interval,
    off: Sequence[float],
    step: SteadyStep,
    after: SteadyStep,
    *,
    nodes: bool,
) -> Bare:
    bare = blocks.bare
    steps = sum(one.steps for one in bare)
    clock = blocks.clock
    return Bare(
        recorder=blocks.recorder,
        costs=costs,
        factor=factor,
        ratio=ratio,
        error=off[0],
        error_low=off[1],
        error_high=off[2],
        blocks=len(bare),
        steps=steps,
        made_bare=blocks.made_bare,
        blocks_step_ns=math.fsum(one.steps * one.step_ns(clock) for one in bare) / steps,
        recorded_ns=step.ns,
        step_ns=after.ns,
        nodes=nodes,
    )


def fitted_factor(recorded: Recorded, step: SteadyStep, costs: Costs, fitted: Interval) -> float:
    """How many times these costs leave a step as `fitted` says, the ratio of recorded to bare ones.

    What is known of the recorder counts too: within a factor of `SPREAD` it is as sure as a
    standard error of the ratio. So a step that hardly goes by the costs leaves them as they are.
    """
    factors = np.geomspace(1 / MOST_TIMES, MOST_TIMES, _GRID)
    steps = np.array(
        [step.without(one) for one in recorded.without([costs.scaled(f) for f in factors])]
    )
    fine = np.geomspace(1 / MOST_TIMES, MOST_TIMES, _FINE)
    ratio = step.ns / np.interp(np.log(fine), np.log(factors), steps)
    known = fitted.low > 0
    error = math.log(fitted.high / fitted.low) / (2 * _NORMAL) if known else _UNSURE
    error = min(max(error, _SURE), _UNSURE)
    off = (np.log(ratio) - np.log(fitted.estimate)) / error
    return float(fine[np.argmin(off**2 + (np.log(fine) / np.log(SPREAD)) ** 2)])


def _percent(share: float) -> str:
    """
    >>> _percent(0.0456), _percent(1.3), _percent(12.0)
    ('4.6 %', '130 %', 'more than they take')
    """
    if share >= 9.995:
        return "more than they take"
    return f"{100 * share:.0f} %" if share >= 0.995 else f"{100 * share:.2g} %"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else f"no {what}"


def _is(number: int) -> str:
    return "is" if number <= 1 else "are"


def _name(recorder: str) -> str:
    return f"the recorder {recorder!r}" if recorder else "its recorder"
