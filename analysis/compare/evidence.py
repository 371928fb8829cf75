"""What two samples say of each other: ratio, interval and p, by the test that fits what there is.

Several runs: Student's t on their logarithms. One run of each: their steps, which say nothing of
another run. Simulated runs: themselves, for they repeat exactly.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from ..statistics.interval import Float
from ..statistics.run_tests import (
    MIN_RUNS,
    Difference,
    difference,
    difference_by_history,
    paired_difference,
)
from ..statistics.stationarity import Shift, level_shift
from ..statistics.step_level import Estimate, mean_of_steps, median_of_steps, ratio_of
from ..statistics.t_distribution import two_sided_p
from .samples import SESSIONS, Sample

STEPS = "blocks of steps"
HISTORY = "t test by history"


class Evidence(Struct, frozen=True):
    """`p` is None where nothing can be tested, `low` and `high` where no interval can be given.

    `spread_known`: it is known how much runs differ from each other, so that it is said of the
    loops, not of these two runs alone.
    """

    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    method: str
    spread_known: bool
    shifts: tuple[Shift | None, Shift | None] = (None, None)
    """Shifts of level inside the run before and the run after, for which no interval is given."""


def evidence(
    before: Sample, after: Sample, confidence: float, history: Sample | None = None
) -> Evidence:
    """What `before` and `after` say, each with one run or more.

    `history`: runs of the same from before, which show how much runs differ where these do not.
    """
    a, b = before.values, after.values
    if before.repeats and after.repeats:
        same = bool(np.isclose(before.estimate, after.estimate, rtol=1e-12, atol=0))
        ratio = _ratio(before.estimate, after.estimate)
        return Evidence(ratio, None, None, float(same), "exact repetition", True)
    if history is not None and len(history.runs) >= MIN_RUNS:
        if history.session == SESSIONS and before.session != after.session:
            # Rounds of one session say nothing of how much another session differs.
            first, second = (np.array([one.estimate]) for one in (before, after))
            return _of_runs(first, second, confidence, history=history.values)
        if max(len(a), len(b)) < MIN_RUNS:
            return _of_runs(a, b, confidence, history=history.values)
    pairs = _common_rounds(before, after)
    if pairs is not None:
        return _of_runs(a[pairs[0]], b[pairs[1]], confidence, by_pairs=True)
    if len(a) == len(b) == 1:
        return _of_steps(before, after, confidence)
    return _of_runs(a, b, confidence, alike=max(before.alike, after.alike))


def _common_rounds(before: Sample, after: Sample) -> tuple[list[int], list[int]] | None:
    """Positions of the runs that were measured in one round of one session; None for none."""
    if not before.session or before.session != after.session:
        return None
    common = sorted(set(before.rounds) & set(after.rounds))
    if not common:
        return None
    return [before.rounds.index(r) for r in common], [after.rounds.index(r) for r in common]


def _of_runs(
    a: Float,
    b: Float,
    confidence: float,
    *,
    by_pairs: bool = False,
    alike: float = 0.0,
    history: Float | None = None,
) -> Evidence:
    positive = min(x.min() for x in (a, b, history) if x is not None) > 0
    x, y = (np.log(a), np.log(b)) if positive else (a, b)
    found: Difference | None
    if history is not None:
        method = HISTORY
        found = difference_by_history(x, y, np.log(history) if positive else history)
    elif by_pairs:
        method, found = "t test of pairs", paired_difference(x, y)
    else:
        method, found = "t test of runs", difference(x, y)
    if found is None:
        middle = [float(np.exp(np.log(x).mean()) if positive else x.mean()) for x in (a, b)]
        return Evidence(_ratio(*middle), None, None, None, "runs", False)
    found = found.of_alike(alike)
    if not positive:  # no ratio, but a difference: one side may have no idle time at all
        return Evidence(None, None, None, found.p, method, True)
    low, high = found.interval(confidence)
    return Evidence(
        math.exp(found.mean), math.exp(low), math.exp(high), found.p, method, spread_known=True
    )


def _of_steps(before: Sample, after: Sample, confidence: float) -> Evidence:
    (first,), (second,) = before.runs, after.runs
    ratio = _ratio(before.estimate, after.estimate)
    shifts = (level_shift(first), level_shift(second))
    if shifts != (None, None):
        return Evidence(ratio, None, None, None, "steps", False, shifts)
    a, b = _level(before, first, confidence), _level(after, second, confidence)
    if a is None or b is None:
        return Evidence(ratio, None, None, None, "steps", False)
    if a.value <= 0 or b.value <= 0:
        error = math.hypot(*((a.below, b.above) if b.value < a.value else (a.above, b.below)))
        p = _p(b.value - a.value, error, min(a.freedom, b.freedom))
        return Evidence(None, None, None, p, STEPS, False)
    log = ratio_of(a, b)
    found = log.interval(confidence)
    p = _p(log.value, log.below if log.value > 0 else log.above, log.freedom)
    low, high = math.exp(found.low), math.exp(found.high)
    return Evidence(math.exp(log.value), low, high, p, STEPS, False)


def _level(sample: Sample, steps: Float, confidence: float) -> Estimate | None:
    of_median = sample.statistic == "median"
    return median_of_steps(steps, confidence) if of_median else mean_of_steps(steps)


def _p(difference: float, error: float, freedom: float) -> float:
    if error == 0:
        return 1.0 if difference == 0 else 0.0
    return two_sided_p(difference / error, freedom)


def _ratio(before: float, after: float) -> float | None:
    return after / before if before > 0 and after > 0 else None
