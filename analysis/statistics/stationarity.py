"""Whether a run keeps its level: a mean of two clock speeds is a figure of neither."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from .interval import Float
from .permutation import midranks

TEST = "Shao and Zhang's test of the steps' ranks"
MIN_SHIFT = 0.03
"""Change of the median, as a share, from which a shift that the test finds is one to act on."""
_CRITICAL = 68.6
"""What the statistic exceeds on one stationary series in a hundred (Shao and Zhang 2010, table 1);
simulated: 1.1% of 60 independent steps, 2% at a correlation of 0.5."""
_LEAST = 4
"""Steps on either side of a shift: fewer are a stall or an edge."""


class Shift(Struct, frozen=True):
    """The level of a run changed: medians before and after, and how many steps came before."""

    steps: int
    before: float
    after: float

    @property
    def share(self) -> float:
        """Change of the median: 0.05 is 5% more, inf from a median of zero."""
        if self.before > 0:
            return self.after / self.before - 1
        return math.inf if self.after > 0 else 0.0


def level_shift(values: Float) -> Shift | None:
    """The shift of level where one run's steps, shape (n,), are not stationary; else None.

    The self-normalised change-point test of Shao and Zhang (2010) at p < 0.01, of ranks, which no
    single stall moves. It needs no estimate of how much neighbours are alike. A shift below
    `MIN_SHIFT` is none. O(n log n).
    """
    n = len(values)
    low = max(_LEAST, math.ceil(n / 10))
    if n < 2 * low:
        return None
    ranks = midranks(values)
    ranks -= ranks.mean()
    cut = np.arange(low, n - low + 1)
    forward, backward = np.cumsum(ranks), np.cumsum(ranks[::-1])
    spread = _within(forward)[cut - 1] + _within(backward)[n - cut - 1]
    away = n * forward[cut - 1] ** 2
    # A series of two values, each at its own level, has no spread at all.
    statistic = np.divide(away, spread, out=np.where(away > 0, np.inf, 0.0), where=spread > 1e-9)
    best = int(statistic.argmax())
    if statistic[best] <= _CRITICAL:
        return None
    steps = int(cut[best])
    found = Shift(steps, float(np.median(values[:steps])), float(np.median(values[steps:])))
    return found if abs(found.share) > MIN_SHIFT else None


def _within(total: Float) -> Float:
    """For each k the sum over t <= k of (S_t - t / k S_k)^2, where `total` holds S_1 .. S_n."""
    k = np.arange(1.0, len(total) + 1)
    squares, crossed, weights = np.cumsum(total**2), np.cumsum(k * total), np.cumsum(k * k)
    return np.asarray(squares - 2 * total / k * crossed + (total / k) ** 2 * weights, np.float64)
