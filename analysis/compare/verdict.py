"""Is B slower than A? One figure's ratio, and 'not significant' where that is the answer."""

from __future__ import annotations

import math
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from ..statistics.stationarity import Shift
from .evidence import evidence
from .samples import Better, Sample

MIN_SHARE = 0.01
MIN_NS = 2_000.0
"""The least effect that counts: the larger of 1% and 2 µs."""

Verdict = Literal[
    "better", "worse", "differs", "these runs differ", "negligible", "not significant", "too few"
]


class Ratio(Struct, frozen=True):
    """One metric of one subject on both sides; `ratio` is after / before.

    `ratio`, `low` and `high` are None where they cannot be given (a zero, too few values, a shift
    of level); `p` is that of the test, `p_adjusted` what it is worth among the figures it was
    tested with. `runs` counts the runs of both sides. `spread_known` says whether the verdict is
    one on the loops, or on these two runs alone.
    """

    subject: str
    metric: str
    unit: str
    better: Better | None
    before: float
    after: float
    runs: tuple[int, int]
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    p_adjusted: float | None
    verdict: Verdict
    method: str
    spread_known: bool
    gate: bool
    shifts: tuple[Shift | None, Shift | None] = (None, None)

    @property
    def least(self) -> float:
        """The least effect that counts, as a share of `before`; inf where that is zero."""
        if self.unit != "ns":
            return MIN_SHARE
        return max(MIN_SHARE, MIN_NS / self.before) if self.before > 0 else math.inf

    @property
    def matters(self) -> bool:
        """Whether the difference seen is at least the least that counts."""
        apart = abs(self.after - self.before)
        if self.before > 0:
            return apart >= self.least * self.before
        return apart >= {"ns": MIN_NS, "%": 100 * MIN_SHARE}.get(self.unit, 0.0)

    @property
    def loss(self) -> float:
        """How much worse, as a share: 0.1 for 10% more time and for 10% less throughput."""
        if self.ratio is None:
            worse = self.after > self.before if self.better == "lower" else self.after < self.before
            return math.inf if self.better and worse else 0.0
        return self._loss(self.ratio)

    @property
    def most(self) -> float:
        """The loss at the worse end of the interval; `loss` where there is none."""
        ends = [end for end in (self.low, self.high) if end is not None]
        return max([self.loss, *map(self._loss, ends)])

    def _loss(self, ratio: float) -> float:
        if self.better is None:
            return 0.0
        return ratio - 1 if self.better == "lower" else 1 - ratio


def compare_samples(
    subject: str,
    before: Sample,
    after: Sample,
    confidence: float,
    history: Sample | None = None,
) -> Ratio:
    """One metric on both sides, tested by itself; `history` as in `evidence`."""
    found = evidence(before, after, confidence, history)
    a, b = before.estimate, after.estimate
    ratio = Ratio(
        subject=subject,
        metric=before.metric,
        unit=before.unit,
        better=before.better,
        before=a,
        after=b,
        runs=(len(before.runs), len(after.runs)),
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        p=found.p,
        p_adjusted=found.p,
        verdict="too few",
        method=found.method,
        spread_known=found.spread_known,
        gate=before.gate,
        shifts=found.shifts,
    )
    return judged(ratio, found.p, confidence)


def judged(ratio: Ratio, p: float | None, confidence: float) -> Ratio:
    """The ratio with its verdict, where p is worth this much."""
    return replace(ratio, p_adjusted=p, verdict=_verdict(ratio, p, confidence))


def _verdict(ratio: Ratio, p: float | None, confidence: float) -> Verdict:
    if p is None:
        return "too few"
    if p > 1 - confidence or ratio.before == ratio.after:
        return "not significant"
    if not ratio.matters:
        return "negligible"
    if not ratio.spread_known:
        return "these runs differ"
    if ratio.better is None:
        return "differs"
    return "better" if (ratio.after < ratio.before) == (ratio.better == "lower") else "worse"
