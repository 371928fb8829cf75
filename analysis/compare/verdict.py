"""Is B slower than A? Ratios with intervals, and 'not significant' where that is the answer.

Where both sides have several runs, runs are resampled and the verdict is an exact rank test; with
one run on a side, blocks of its steps. An effect counts as significant only where test and interval
agree, and it is never asked of fewer values than can answer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np
from msgspec import Struct

from ..statistics.bootstrap import (
    CONFIDENCE,
    MIN_STEPS,
    Float,
    Mean,
    mean_of_steps,
    mean_ratio,
    median_ratio_interval,
)
from ..statistics.permutation import rank_sum_p
from ..statistics.t_distribution import half_width, two_sided_p
from .remarks import ManyTests, OneRun, TooFewValues

MIN_RUNS = 4
"""Runs on each side below which no rearrangement of labels reaches 95%: 3 and 3 have 20."""

Verdict = Literal["better", "worse", "differs", "not significant", "too few"]


class Sample(Struct, frozen=True):
    """One figure of one thing, measured once or more.

    `runs` holds one array per run: its steps in order (shape (steps,)), or its one value (shape
    (1,)). `unit` is `ns`, `bytes`, `1/s`, `1` or what else the caller prints. `better` says which
    way is good; None for a figure that is neither (it is compared, never judged). `gate` says
    whether `--fail-above` looks at it.
    """

    metric: str
    unit: str
    runs: tuple[Float, ...]
    better: Literal["lower", "higher"] | None = "lower"
    gate: bool = True

    @property
    def values(self) -> Float:
        """Mean of each run, shape (runs,)."""
        return np.array([run.mean() for run in self.runs])

    @property
    def estimate(self) -> float:
        """Median of the runs; the mean of the steps where there is one run."""
        return float(np.median(self.values))


class Subject(Struct, frozen=True):
    """What is compared: a strategy at a batch size and length, or the steps of a trace.

    `key` pairs it with its counterpart. `samples` by metric, in the order to be shown.
    """

    key: str
    samples: Mapping[str, Sample]


class Side(Struct, frozen=True):
    """One side: its name, what is known about how it was made, and its subjects."""

    name: str
    metadata: Mapping[str, Any]
    subjects: tuple[Subject, ...]
    notes: tuple[str, ...] = ()


class Ratio(Struct, frozen=True):
    """One metric of one subject on both sides; `ratio` is after / before.

    `ratio`, `low` and `high` are None where they cannot be given (a zero, too few values); `p` is
    that of the test. `runs` counts the runs of both sides.
    """

    subject: str
    metric: str
    unit: str
    better: Literal["lower", "higher"] | None
    before: float
    after: float
    runs: tuple[int, int]
    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    verdict: Verdict
    method: str
    gate: bool

    @property
    def loss(self) -> float:
        """How much worse, as a share: 0.1 for 10% more time and for 10% less throughput."""
        if self.ratio is None:
            return math.inf if self.verdict == "worse" else 0.0
        return self.ratio - 1 if self.better == "lower" else 1 - self.ratio


class Comparison(Struct, frozen=True):
    """Everything that `harness compare` shows. `differences`: (key, before, after)."""

    before: str
    after: str
    confidence: float
    differences: tuple[tuple[str, Any, Any], ...]
    ratios: tuple[Ratio, ...]
    only_before: tuple[str, ...]
    only_after: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def regressions(self, above: float) -> tuple[Ratio, ...]:
        """Gated metrics that are significantly worse, by more than the share `above` (0.05: 5%)."""
        return tuple(r for r in self.ratios if r.gate and r.verdict == "worse" and r.loss > above)


def compare(before: Side, after: Side, confidence: float = CONFIDENCE) -> Comparison:
    """Pair subjects by key and compare every metric that both have.

    One subject on each side is a pair whatever it is called: two strategies, say.
    """
    here = {subject.key: subject for subject in before.subjects}
    there = {subject.key: subject for subject in after.subjects}
    if len(here) == len(there) == 1 and here.keys() != there.keys():
        ((a, first),), ((b, second),) = here.items(), there.items()
        here, there = {f"{a} -> {b}": first}, {f"{a} -> {b}": second}
    ratios = tuple(
        compare_samples(key, sample, there[key].samples[metric], confidence)
        for key, subject in here.items()
        if key in there
        for metric, sample in subject.samples.items()
        if metric in there[key].samples
    )
    return Comparison(
        before=before.name,
        after=after.name,
        confidence=confidence,
        differences=tuple(differences(before.metadata, after.metadata)),
        ratios=ratios,
        only_before=tuple(key for key in here if key not in there),
        only_after=tuple(key for key in there if key not in here),
        notes=(*_notes(ratios, confidence), *before.notes, *after.notes),
    )


def differences(
    before: Mapping[str, Any], after: Mapping[str, Any], prefix: str = ""
) -> list[tuple[str, Any, Any]]:
    """What differs between two nested mappings, as (dotted key, before, after); None is absent.

    >>> differences({"gpu": {"name": "A", "clock": 1}}, {"gpu": {"name": "B", "clock": 1}})
    [('gpu.name', 'A', 'B')]
    """
    found: list[tuple[str, Any, Any]] = []
    for key in dict.fromkeys([*before, *after]):
        a, b = before.get(key), after.get(key)
        if a == b:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            found += differences(a, b, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", a, b))
    return found


class _Found(Struct, frozen=True):
    """What a test says: `p` is None where it could not be made."""

    ratio: float | None
    low: float | None
    high: float | None
    p: float | None
    method: str


def compare_samples(subject: str, before: Sample, after: Sample, confidence: float) -> Ratio:
    """One metric on both sides. Runs where both have two or more, blocks of steps otherwise."""
    counts = (len(before.runs), len(after.runs))
    by_runs = min(counts) >= 2
    found = _by_runs(before, after, confidence) if by_runs else _by_steps(before, after, confidence)
    significant = found.p is not None and found.p <= 1 - confidence
    if significant and found.low is not None and found.high is not None:
        significant = not found.low <= 1 <= found.high
    a, b = before.estimate, after.estimate
    verdict: Verdict
    if found.p is None:
        verdict = "too few"
    elif not significant or a == b:
        verdict = "not significant"
    elif before.better is None:
        verdict = "differs"
    else:
        verdict = "better" if (b < a) == (before.better == "lower") else "worse"
    return Ratio(
        subject=subject,
        metric=before.metric,
        unit=before.unit,
        better=before.better,
        before=a,
        after=b,
        runs=counts,
        ratio=found.ratio,
        low=found.low,
        high=found.high,
        p=found.p,
        verdict=verdict,
        method=found.method,
        gate=before.gate,
    )


def _by_runs(before: Sample, after: Sample, confidence: float) -> _Found:
    a, b = before.values, after.values
    enough = min(len(a), len(b)) >= MIN_RUNS
    p = rank_sum_p(a, b) if enough else None
    interval = median_ratio_interval(a, b, confidence) if enough else None
    ratio = _ratio(before.estimate, after.estimate)
    if interval is None:
        return _Found(ratio, None, None, p, "runs")
    return _Found(ratio, interval.low, interval.high, p, interval.method)


def _by_steps(before: Sample, after: Sample, confidence: float) -> _Found:
    a, b = _mean(before.runs), _mean(after.runs)
    if a is None or b is None:
        return _Found(_ratio(before.estimate, after.estimate), None, None, None, "steps")
    method = "blocks of steps"
    if a.mean <= 0 or b.mean <= 0:
        # No ratio, but a difference: one side may have no idle time at all.
        error = math.hypot(a.error, b.error)
        p = _p(b.mean - a.mean, error, min(a.freedom, b.freedom))
        return _Found(None, None, None, p, method)
    log, error, freedom = mean_ratio(a, b)
    half = half_width(confidence, freedom) * error
    low, high = math.exp(log - half), math.exp(log + half)
    return _Found(math.exp(log), low, high, _p(log, error, freedom), method)


def _p(difference: float, error: float, freedom: float) -> float:
    if error == 0:  # both sides repeat themselves exactly, as simulated traces do
        return 1.0 if difference == 0 else 0.0
    return two_sided_p(difference / error, freedom)


def _mean(runs: Sequence[Float]) -> Mean | None:
    """The mean over one run's steps; of several runs (compared with a single one), pooled.

    Its error is what the steps give or what the runs give, whichever is larger: runs of one thing
    may differ by more than their steps foretell.
    """
    means = [found for run in runs if (found := mean_of_steps(run)) is not None]
    if not means or len(means) < len(runs):
        return None
    if len(means) == 1:
        return means[0]
    k = len(means)
    error = math.sqrt(sum(m.error**2 for m in means)) / k
    freedom = min(m.freedom for m in means)
    apart = float(np.std([m.mean for m in means], ddof=1)) / math.sqrt(k)
    if apart > error:
        error, freedom = apart, k - 1.0
    return Mean(
        mean=sum(m.mean for m in means) / k,
        error=error,
        freedom=freedom,
        correlation=max(m.correlation for m in means),
        block=max(m.block for m in means),
        steps=sum(m.steps for m in means),
    )


def _ratio(before: float, after: float) -> float | None:
    return after / before if before > 0 and after > 0 else None


def _notes(ratios: Sequence[Ratio], confidence: float) -> list[str]:
    """What a reader must know to believe the table, with numbers."""
    notes: list[str] = []
    tested = [r for r in ratios if r.p is not None]
    if any(r.method == "blocks of steps" for r in tested):
        notes.append(
            OneRun(
                "one run on a side: intervals cover the steps of these runs, not what another run "
                f"would give; measure {MIN_RUNS} runs or more of each"
            )
        )
    few = [r for r in ratios if r.p is None]
    if few:
        fewest = min(min(r.runs) for r in few)
        need = f"{MIN_STEPS} steps" if all(r.method == "steps" for r in few) else f"{MIN_RUNS} runs"
        notes.append(
            TooFewValues(
                f"{len(few)} of {len(ratios)} figures have too few values to be tested "
                f"({fewest} run{'s' if fewest > 1 else ''}); {need} on each side are the least"
            )
        )
    expected = len(tested) * (1 - confidence)
    if expected >= 1:
        notes.append(
            ManyTests(
                f"{len(tested)} figures tested at {confidence:.0%}: about {expected:.0f} would be "
                "marked by chance alone"
            )
        )
    return notes
