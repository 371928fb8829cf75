"""Whether a run keeps its level: a mean of two clock speeds is a figure of neither."""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from .interval import Float

TEST = "Shao and Zhang's test"
MIN_SHIFT = 0.03
"""Change of the median, as a share, from which a shift that the test finds is one to act on."""
_CRITICAL = 68.6
"""What the statistic exceeds on one stationary series in a hundred (Shao and Zhang 2010, table 1);
simulated: 1.1% of 60 independent steps, 2% at a correlation of 0.5."""
_FAR = 10.0
"""Median deviations from the median beyond which a step counts as that far: no single stall shall
hide a shift, or look like one."""
_LEAST = 4
"""Steps on either side of a shift: fewer are a stall or an edge."""
_ROUNDING = 1e-12


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

    The self-normalised change-point test of Shao and Zhang (2010) at p < 0.01, which needs no
    estimate of how much neighbours are alike; the shift is where least squares put it. One below
    `MIN_SHIFT` is none. O(n log n).
    """
    n = len(values)
    low = max(_LEAST, math.ceil(n / 10))
    if n < 2 * low:
        return None
    away = values - np.median(values)
    far = _FAR * float(np.median(np.abs(away)))
    away = np.clip(away, -far, far) if far > 0 else away
    away -= away.mean()
    power = float(away @ away)
    if power == 0:
        return None
    away /= math.sqrt(power)
    cut = np.arange(low, n - low + 1)
    forward, backward = np.cumsum(away), np.cumsum(away[::-1])
    spread = _within(forward)[cut - 1] + _within(backward)[n - cut - 1]
    apart = forward[cut - 1] ** 2
    # Two levels without noise have no spread at all.
    if not (n * apart > _CRITICAL * np.maximum(spread, _ROUNDING)).any():
        return None
    steps = int(cut[np.argmax(apart / (cut * (n - cut)))])
    found = Shift(steps, float(np.median(values[:steps])), float(np.median(values[steps:])))
    return found if abs(found.share) > MIN_SHIFT else None


def _within(total: Float) -> Float:
    """For each k the sum over t <= k of (S_t - t / k S_k)^2, where `total` holds S_1 .. S_n."""
    k = np.arange(1.0, len(total) + 1)
    squares, crossed, weights = np.cumsum(total**2), np.cumsum(k * total), np.cumsum(k * k)
    return np.asarray(squares - 2 * total / k * crossed + (total / k) ** 2 * weights, np.float64)
