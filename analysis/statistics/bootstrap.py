"""Confidence intervals of medians, by resampling whole runs.

Runs are taken as independent. Everything is seeded: the same sample gives the same interval.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np

from .interval import CONFIDENCE, Float, Interval
from .t_distribution import half_width

DRAWS = 2000
MIN_RUNS = 6
"""Runs below which no interval of the median reaches 95%: their whole range has 1 - 2 / 2**n."""


def median_interval(values: Float, confidence: float = CONFIDENCE) -> Interval | None:
    """The median of independent runs, shape (n,); None for fewer than 2.

    Percentile bootstrap, its percentiles moved outwards by the t factor that small samples need
    (unmoved it covers 87% with 7 runs, moved 98%). With fewer than `MIN_RUNS` it is the whole
    range, and `confidence` says how little that is.
    """
    n = len(values)
    if n < 2:
        return None
    middle = float(np.median(values))
    whole = 1 - 2.0 ** (1 - n)
    if whole < confidence:
        return Interval(middle, float(values.min()), float(values.max()), whole, "range")
    low, high = _percentiles(_medians(values, np.random.default_rng(0)), n, confidence)
    return Interval(middle, low, high, confidence, "bootstrap of runs")


def paired_ratio_interval(
    before: Float, after: Float, confidence: float = CONFIDENCE
) -> Interval | None:
    """Median of after[i] / before[i], pairs measured in the same round. Shapes (n,), positive.

    As `median_interval`, on the logarithm.
    """
    if len(before) != len(after) or min(before.min(), after.min()) <= 0:
        return None
    inner = median_interval(np.log(after / before), confidence)
    if inner is None:
        return None
    low, middle, high = (math.exp(x) for x in (inner.low, inner.estimate, inner.high))
    method = "range of pairs" if inner.method == "range" else "bootstrap of pairs"
    return Interval(middle, low, high, inner.confidence, method)


def _medians(values: Float, rng: np.random.Generator) -> Float:
    n = len(values)
    return np.asarray(np.median(values[rng.integers(0, n, (DRAWS, n))], axis=1), np.float64)


def _percentiles(drawn: Float, n: int, confidence: float) -> tuple[float, float]:
    """Percentiles of resampled statistics, moved outwards for the sample's size."""
    t = half_width(confidence, n - 1)
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * t)
    low, high = np.quantile(drawn, [tail, 1 - tail]).tolist()
    return low, high
