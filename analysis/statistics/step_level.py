"""Mean and median of one run's steps, with intervals that know that neighbouring steps are alike.

The allocator, the clocks and the cache make neighbours alike; an interval that ignores it is too
narrow by a factor of two or more. Everything is seeded: the same steps give the same interval.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from .interval import CONFIDENCE, Float, Interval
from .t_distribution import half_width

Index = NDArray[np.intp]

DRAWS = 500
MIN_STEPS = 8
"""Steps below which their dependence cannot be estimated, and no interval is given."""
MIN_STEPS_OF_MEDIAN = 60
"""The same for a median: of 40 steps that correlate by 0.8, the few whose interval lay within them
covered 91%, of 18 steps 80%."""
_SLOWEST = 0.97
"""Largest autocorrelation of neighbours that is believed; beyond it a series is a drift."""
_ALTERNATING = -0.5
_LAGS = 300
_CAUTION = 0.2
"""Standard errors by which a median's autocorrelation is taken larger than it was found."""


class Estimate(Struct, frozen=True):
    """The mean or the median of dependent steps, with its standard errors downwards and upwards.

    `freedom` are the degrees of freedom of the errors: about the number of independent steps that
    the sample is worth.
    """

    value: float
    below: float
    above: float
    freedom: float

    def interval(self, confidence: float = CONFIDENCE) -> Interval:
        """Value less and plus so many errors."""
        half = half_width(confidence, self.freedom)
        low, high = self.value - half * self.below, self.value + half * self.above
        return Interval(self.value, low, high, confidence, "blocks of steps")


def mean_of_steps(values: Float, *, seed: int = 0) -> Estimate | None:
    """The mean of one run's consecutive steps, shape (n,); None for fewer than `MIN_STEPS`.

    Stationary bootstrap (Politis and Romano 1994) of the innovations of a first-order
    autoregression, the first step's among them: a slow first step is as much of a doubt as any
    other. Block length by Politis and White (2004, corrected 2009). Without the autoregression
    the block length of a short series is mostly found as 1, and an interval of 95% covers 60% of
    the time (18 steps, correlation 0.6). docs/bench.md has the coverage.
    """
    n = len(values)
    if n < MIN_STEPS:
        return None
    mean = float(values.mean())
    away = values - mean
    power = float(away @ away)
    if power <= (1e-12 * max(1.0, abs(mean))) ** 2 * n:
        return Estimate(mean, 0.0, 0.0, float(n - 1))
    rho = _correlation(float(away[1:] @ away[:-1]) / power, n)
    first = away[:1] * math.sqrt(1 - rho * rho)
    rest = np.concatenate((first, away[1:] - rho * away[:-1]))
    rest -= rest.mean()
    rng = np.random.default_rng(seed)
    drawn = rest[stationary_blocks(rng, n, block_length(rest), DRAWS)].mean(axis=1)
    error = float(drawn.std(ddof=1)) / (1 - rho) * math.sqrt(n / (n - 4))
    return Estimate(mean, error, error, max(_worth(rho, n) - 2, 2.0))


def median_of_steps(values: Float, confidence: float = CONFIDENCE) -> Estimate | None:
    """The median of one run's consecutive steps, shape (n,); None for fewer than
    `MIN_STEPS_OF_MEDIAN`, or where the interval would not lie within the steps.

    The errors are how far the order statistics that bound the interval of `confidence` lie from
    it, which are found by how many independent steps the sample is worth: by the autocorrelation
    of being above the median.
    """
    n = len(values)
    if n < MIN_STEPS_OF_MEDIAN:
        return None
    middle = float(np.median(values))
    sign = np.sign(values - middle)
    power = float(sign @ sign)
    if power == 0:
        return Estimate(middle, 0.0, 0.0, float(n - 1))
    rho = max(_correlation(float(sign[1:] @ sign[:-1]) / power, n), 0.0)
    worth = n / _sign_variance(min(rho + _CAUTION * math.sqrt((1 - rho * rho) / n), _SLOWEST))
    freedom = max(worth - 2, 2.0)
    factor = half_width(confidence, freedom)
    reach = factor / (2 * math.sqrt(worth))
    if reach >= 0.5:
        return None
    low, high = np.quantile(values, [0.5 - reach, 0.5 + reach]).tolist()
    return Estimate(middle, (middle - low) / factor, (high - middle) / factor, freedom)


def _correlation(found: float, n: int) -> float:
    """The autocorrelation of neighbours to reckon with, where `found` is that of n steps."""
    # It is found too low by (1 + 3 rho) / n: the mean was estimated as well.
    return min(max((n * found + 1) / (n - 3), _ALTERNATING), _SLOWEST)


def _worth(rho: float, n: int) -> float:
    """How many independent steps n steps are worth."""
    return n * (1 - rho) / (1 + rho) if rho > 0 else float(n)


def _sign_variance(rho: float) -> float:
    """By how much the variance of a mean of signs grows, whose neighbours correlate by `rho`, where
    they are signs of a first-order autoregression (Van Vleck's arcsine law)."""
    slope = math.sin(math.pi / 2 * rho)
    lags = slope ** np.arange(1.0, _LAGS)
    return 1 + 4 / math.pi * float(np.arcsin(lags).sum())


def ratio_of(before: Estimate, after: Estimate) -> Estimate:
    """The logarithm of after / before; both must be positive.

    Delta method; the errors of both sides recovered and combined as Zou and Donner (2008) do;
    degrees of freedom by Welch and Satterthwaite.
    """
    down = [before.above / before.value, after.below / after.value]
    up = [before.below / before.value, after.above / after.value]
    return Estimate(
        math.log(after.value / before.value),
        math.hypot(*down),
        math.hypot(*up),
        _freedom(down if after.value > before.value else up, (before.freedom, after.freedom)),
    )


def _freedom(errors: list[float], freedoms: tuple[float, float]) -> float:
    parts = sum(e**4 / f for e, f in zip(errors, freedoms, strict=True))
    return sum(e * e for e in errors) ** 2 / parts if parts else sum(freedoms)


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
