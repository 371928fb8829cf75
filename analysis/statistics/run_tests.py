"""Student's t on runs: two samples, one run against several, and pairs of one round.

Times of runs scatter by shares, so callers hand in logarithms; differences are of their means.
"""

from __future__ import annotations

import math

import numpy as np
from msgspec import Struct

from .interval import CONFIDENCE, Float, Interval
from .t_distribution import half_width, two_sided_p

MIN_RUNS = 3
"""Runs from which their spread counts as known."""
ALIKE = 0.3
"""Correlation of neighbouring rounds where a session does not tell: that of ours on an H100."""
_ROUNDS = 6
_ROUNDING = 1e-12
"""Logarithms of equal times are equal up to this."""


class Difference(Struct, frozen=True):
    """Mean of the second sample less that of the first, its standard error, and how many degrees
    of freedom that has."""

    mean: float
    error: float
    freedom: float

    @property
    def p(self) -> float:
        """Two-sided p that there is no difference. Without any spread every difference is one."""
        if self.error <= _ROUNDING or abs(self.mean) <= _ROUNDING:
            return float(abs(self.mean) <= _ROUNDING)
        return two_sided_p(self.mean / self.error, self.freedom)

    def of_alike(self, correlation: float) -> Difference:
        """The same of runs whose neighbours correlate, each worth less than an independent one."""
        factor = (1 + correlation) / (1 - correlation)
        return Difference(
            self.mean, self.error * math.sqrt(factor), max(self.freedom / factor, 1.0)
        )

    def interval(self, confidence: float) -> tuple[float, float]:
        """(low, high)."""
        half = half_width(confidence, self.freedom) * self.error
        return self.mean - half, self.mean + half


def difference(before: Float, after: Float) -> Difference | None:
    """Independent runs, shapes (n,) and (m,); None where no side shows how much runs scatter.

    Student's test, which takes the spread of both to be the same, so that a single run has the
    doubt of the many; with `MIN_RUNS` or more on each side, Welch's too, and of both what doubts
    more: three runs beside twelve seem to know their spread too well. None where neither side has
    `MIN_RUNS`.
    """
    counts = (len(before), len(after))
    if max(counts) < MIN_RUNS or min(counts) < 1:
        return None
    mean = float(after.mean() - before.mean())
    squares = [float(((side - side.mean()) ** 2).sum()) for side in (before, after)]
    pooled = float(sum(counts) - 2)
    error = math.sqrt(sum(squares) / pooled * sum(1 / n for n in counts))
    student = Difference(mean, error, pooled)
    if min(counts) < MIN_RUNS:
        return student
    parts = [s / (n - 1) / n for s, n in zip(squares, counts, strict=True)]
    total = sum(parts)
    shares = sum(part**2 / (n - 1) for part, n in zip(parts, counts, strict=True))
    welch = Difference(mean, math.sqrt(total), total**2 / shares if shares > 0 else pooled)
    return max(student, welch, key=lambda one: half_width(CONFIDENCE, one.freedom) * one.error)


def difference_by_history(before: Float, after: Float, history: Float) -> Difference | None:
    """Runs, shapes (n,) and (m,), that differ as those of a history, shape (k,), do among
    themselves; None where that has fewer than `MIN_RUNS`."""
    k = len(history)
    if k < MIN_RUNS:
        return None
    error = float(np.std(history, ddof=1)) * math.sqrt(1 / len(before) + 1 / len(after))
    return Difference(float(after.mean() - before.mean()), error, float(k - 1))


def neighbours_alike(runs: list[Float]) -> float:
    """How much neighbouring rounds of a session correlate, from 0 to 0.9: the mean over what was
    measured in it, each with one value a round in order (shape (rounds,)).

    Sessions with too few rounds to tell count as `ALIKE`.
    """
    found = []
    for values in runs:
        n = len(values)
        away = values - values.mean() if n else values
        power = float(away @ away)
        if n >= _ROUNDS and power > 0:
            # As in a series of steps: found too low by (1 + 3 rho) / n.
            found.append((n * float(away[1:] @ away[:-1]) / power + 1) / (n - 3))
    return min(max(float(np.mean(found)), 0.0), 0.9) if found else ALIKE


def paired_difference(before: Float, after: Float) -> Difference | None:
    """Pairs, shapes (n,); what both of a pair share counts for nothing. None below `MIN_RUNS`."""
    n = len(before)
    if n < MIN_RUNS:
        return None
    apart = after - before
    return Difference(
        float(apart.mean()), float(np.std(apart, ddof=1)) / math.sqrt(n), float(n - 1)
    )


def mean_interval(runs: Float, confidence: float) -> Interval | None:
    """The mean of independent runs, shape (n,), by Student's t; None below `MIN_RUNS`."""
    n = len(runs)
    if n < MIN_RUNS:
        return None
    mean, error = float(runs.mean()), float(np.std(runs, ddof=1)) / math.sqrt(n)
    half = half_width(confidence, n - 1) * error
    return Interval(mean, mean - half, mean + half, confidence, "t of runs")


def holm(p: list[float]) -> list[float]:
    """Holm's (1979) adjusted p values: where those up to 5% count, the chance that any of them is
    a false alarm is at most 5%.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    order = sorted(range(len(p)), key=p.__getitem__)
    adjusted, most = [1.0] * len(p), 0.0
    for rank, k in enumerate(order):
        most = max(most, min(1.0, (len(p) - rank) * p[k]))
        adjusted[k] = most
    return adjusted
