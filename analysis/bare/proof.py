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
from ..statistics.bootstrap import MIN_RUNS, paired_ratio_interval
from ..statistics.interval import CONFIDENCE, Float, Interval
from ..statistics.t_distribution import half_width
from .blocks import Blocks, NoBlocks, pairs_of, read_blocks
from .costs import Costs
from .prior import Prior, priors
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
_GRID, _ROUNDS = 5, 6
_NEAR = 1e-4
"""Share by which a fitted step may miss."""
_STILL = 1e-3
"""A step that all of a recorder's costs shorten by less does not go by the host."""


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
    bare, recorded = pairs_of(blocks)
    if len(bare) < LEAST_PAIRS:
        few = f"{_count(len(bare), 'bare block')} beside a recorded one"
        return AsRecorded(f"{few} {_is(len(bare))} too few to fit and to test")
    ratio = ratio_of(bare, recorded)
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
    fitted = ratio_of(bare[::2], recorded[::2]).estimate
    held_out = ratio_of(bare[1::2], recorded[1::2])
    source = read_recorded(trace, with_ranges=prior.middle.range > 0)
    factor = fitted_factor(source, step, prior.middle, step.ns / fitted)
    costs = prior.middle.scaled(factor)
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
    found = _bare(blocks, costs, factor, ratio, off, step, after)
    return Proved(found, times, bare_trace)


def _bare(
    blocks: Blocks,
    costs: Costs,
    factor: float,
    ratio: Interval,
    off: Sequence[float],
    step: SteadyStep,
    after: SteadyStep,
) -> Bare:
    bare = blocks.bare
    steps = sum(len(one.steps_ns) for one in bare)
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
        blocks_step_ns=math.fsum(ns for one in bare for ns in one.steps_ns) / steps,
        recorded_ns=step.ns,
        step_ns=after.ns,
    )


def ratio_of(bare: Float, recorded: Float) -> Interval:
    """How many times as long a recorded step is, by pairs; shapes (pairs,), at least one.

    The median with its bootstrap interval where there are enough; of a few pairs the mean of the
    logarithms, with Student's. One pair alone has no interval: its ends are those of no knowledge.
    """
    if len(bare) >= MIN_RUNS:
        found = paired_ratio_interval(bare, recorded)
        if found is not None:
            return found
    logs = np.log(recorded / bare)
    middle = float(logs.mean())
    if len(logs) < 2:
        return Interval(math.exp(middle), 0.0, math.inf, CONFIDENCE, "one pair")
    error = float(logs.std(ddof=1)) / math.sqrt(len(logs))
    reach = half_width(CONFIDENCE, len(logs) - 1) * error
    low, high = math.exp(middle - reach), math.exp(middle + reach)
    return Interval(math.exp(middle), low, high, CONFIDENCE, "t of pairs")


def fitted_factor(recorded: Recorded, step: SteadyStep, costs: Costs, wanted_ns: float) -> float:
    """How many times these costs leave a step of that length; 1 where they hardly change it.

    What is taken out can make no step longer, so the factor is closed in.
    """

    def left(factors: Sequence[float]) -> list[float]:
        return [step.without(one) for one in recorded.without([costs.scaled(f) for f in factors])]

    factors = np.linspace(0.0, MOST_TIMES, _GRID).tolist()
    steps = left(factors)
    if steps[0] - steps[-1] <= _STILL * step.ns:
        return 1.0
    over = [k for k, ns in enumerate(steps) if ns >= wanted_ns]
    if not over or over[-1] == _GRID - 1:
        return float(factors[over[-1] if over else 0])
    low, high = factors[over[-1]], factors[over[-1] + 1]
    longer, shorter = steps[over[-1]], steps[over[-1] + 1]
    for _ in range(_ROUNDS):
        # Between the two the step is nearly a line; it is cut well within, so that both ends move.
        share = (longer - wanted_ns) / (longer - shorter)
        middle = low + (high - low) * min(max(share, 0.05), 0.95)
        (ns,) = left([middle])
        if abs(ns - wanted_ns) <= _NEAR * wanted_ns:
            return float(middle)
        if ns >= wanted_ns:
            low, longer = middle, ns
        else:
            high, shorter = middle, ns
    return float(low + (high - low) * (longer - wanted_ns) / (longer - shorter))


def _percent(share: float) -> str:
    return f"{100 * share:.2g} %" if share < 9.995 else "more than they take"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}" if number else f"no {what}"


def _is(number: int) -> str:
    return "is" if number <= 1 else "are"


def _name(recorder: str) -> str:
    return f"the recorder {recorder!r}" if recorder else "its recorder"
