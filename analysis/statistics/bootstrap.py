"""Confidence intervals by resampling: whole runs where there are several, else blocks of steps.

Runs are taken as independent; steps of one run are not: the allocator, the clocks and the cache
make neighbours alike, and an interval that ignores it is too narrow by a factor of two or more.
Everything is seeded: the same sample gives the same interval.
"""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from .t_distribution import half_width

Float = NDArray[np.float64]
Index = NDArray[np.intp]

CONFIDENCE = 0.95
DRAWS = 2000
MIN_STEPS = 8
"""Steps below which their dependence cannot be estimated, and no interval is given."""
MIN_RUNS = 6
"""Runs below which no interval of the median reaches 95%: their whole range has 1 - 2 / 2**n."""
_SLOWEST = 0.97
"""Largest autocorrelation of neighbours that is believed; beyond it a series is a drift."""
_ALTERNATING = -0.5


class Interval(Struct, frozen=True):
    """An estimate and the interval around it, in the unit of the sample.

    `confidence` is what the interval has: less than asked for where there were too few values.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    method: str


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


def median_ratio_interval(
    before: Float, after: Float, confidence: float = CONFIDENCE
) -> Interval | None:
    """median(after) / median(before) of independent positive runs; None for fewer than 2 in either.

    Percentile bootstrap on the logarithm, both samples resampled. Covers 92% to 97% from 4 runs on.
    """
    if min(len(before), len(after)) < 2 or min(before.min(), after.min()) <= 0:
        return None
    rng = np.random.default_rng(0)
    a, b = np.log(before), np.log(after)
    drawn = _medians(b, rng) - _medians(a, rng)
    tail = (1 - confidence) / 2
    low, high = np.exp(np.quantile(drawn, [tail, 1 - tail])).tolist()
    ratio = float(np.exp(np.median(b) - np.median(a)))
    return Interval(ratio, low, high, confidence, "bootstrap of runs")


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


class Mean(Struct, frozen=True):
    """The mean of dependent steps, with the standard error that accounts for their dependence.

    `freedom` are the degrees of freedom of the standard error: about the number of independent
    steps that the sample is worth. `correlation` is that of neighbours, corrected for its bias;
    `block` the mean length of the resampled blocks.
    """

    mean: float
    error: float
    freedom: float
    correlation: float
    block: float
    steps: int

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Mean plus and minus its half width."""
        half = half_width(confidence, self.freedom) * self.error
        return Interval(
            self.mean, self.mean - half, self.mean + half, confidence, "blocks of steps"
        )


def mean_of_steps(values: Float, *, seed: int = 0) -> Mean | None:
    """The mean of one run's consecutive steps, shape (n,); None for fewer than `MIN_STEPS`.

    Stationary bootstrap (Politis and Romano 1994) of the residuals of a first-order
    autoregression, block length by Politis and White (2004, corrected 2009). Without the
    autoregression first, the block length of a short series is mostly found as 1, and an interval
    of 95% covers 60% of the time (18 steps, correlation 0.6); with it, 95%. Coverage from 18 steps
    on: 93% to 97% up to a correlation of 0.8.
    """
    n = len(values)
    if n < MIN_STEPS:
        return None
    mean = float(values.mean())
    away = values - mean
    power = float(away @ away)
    if power <= (1e-12 * max(1.0, abs(mean))) ** 2 * n:
        return Mean(mean, 0.0, float(n - 1), 0.0, 1.0, n)
    raw = float(away[1:] @ away[:-1]) / power
    # The estimate is too low by (1 + 3 rho) / n: the mean was estimated as well.
    correlation = min(max((n * raw + 1) / (n - 3), _ALTERNATING), _SLOWEST)
    rest = away[1:] - correlation * away[:-1]
    rest = rest - rest.mean()
    block = block_length(rest)
    rng = np.random.default_rng(seed)
    drawn = rest[stationary_blocks(rng, len(rest), block, DRAWS // 4)].mean(axis=1)
    error = float(drawn.std(ddof=1)) / (1 - correlation) * math.sqrt(n / (n - 4))
    worth = n * (1 - correlation) / (1 + correlation) if correlation > 0 else float(n)
    return Mean(mean, error, max(worth - 2, 2.0), correlation, block, n)


def mean_ratio(before: Mean, after: Mean) -> tuple[float, float, float]:
    """(log of after / before, its standard error, degrees of freedom), by the delta method.

    Both means must be positive. Degrees of freedom by Welch and Satterthwaite.
    """
    relative = [(m.error / m.mean) ** 2 for m in (before, after)]
    total = sum(relative)
    parts = sum(r * r / m.freedom for r, m in zip(relative, (before, after), strict=True))
    freedom = total * total / parts if parts else before.freedom + after.freedom
    return math.log(after.mean / before.mean), math.sqrt(total), freedom


def stationary_blocks(rng: np.random.Generator, n: int, block: float, draws: int) -> Index:
    """Positions of `draws` resampled series, shape (draws, n): blocks of geometric length with
    mean `block`, begun anywhere, wrapping round at the end."""
    begins = rng.random((draws, n)) < 1 / block
    begins[:, 0] = True
    here = np.arange(n)
    begun = np.maximum.accumulate(np.where(begins, here, 0), axis=1)
    start = np.take_along_axis(rng.integers(0, n, (draws, n)), begun, axis=1)
    return np.asarray((start + here - begun) % n, np.intp)


def block_length(values: Float) -> float:
    """Mean block length for the stationary bootstrap of a series: from 1 to a third of it.

    Politis and White's rule: autocovariances weighted by a flat-top window whose width is where the
    autocorrelation has become insignificant. Costs O(n sqrt n). Shape (n,), n >= 4.
    """
    n = len(values)
    away = values - values.mean()
    look = max(5, math.ceil(math.sqrt(math.log10(n))))
    furthest = min(math.ceil(math.sqrt(n)) + look, n - 1)
    covariance = np.array([away[: n - k] @ away[k:] for k in range(furthest + 1)]) / n
    if covariance[0] <= 0:
        return 1.0
    limit = 2 * math.sqrt(math.log10(n) / n)
    strong = np.flatnonzero(np.abs(covariance[1:] / covariance[0]) >= limit) + 1
    # The smallest lag after which `look` lags in a row say nothing.
    ends = [0, *strong.tolist()]
    width = next((k for k, after in zip(ends, [*ends[1:], n], strict=True) if after - k > look), 0)
    if width == 0:
        return 1.0
    width = min(2 * width, furthest)
    lag = np.arange(-width, width + 1)
    window = np.minimum(1.0, 2 * (1 - np.abs(lag) / width))
    weighted = window * covariance[np.abs(lag)]
    spectrum = float(weighted.sum())
    slope = float((np.abs(lag) * weighted).sum())
    if spectrum <= 0:
        return 1.0
    best = (slope / spectrum) ** (2 / 3) * n ** (1 / 3) if slope > 0 else 1.0
    return float(min(max(best, 1.0), n / 3))
