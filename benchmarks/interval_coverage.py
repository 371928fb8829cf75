#!/usr/bin/env python
"""How often intervals cover and gates raise false alarms, by simulation of what is never changed.

    python benchmarks/interval_coverage.py                # the tables of docs/bench.md, in Markdown
    python benchmarks/interval_coverage.py --draws 200    # a quick look

Both sides of every comparison come from one process, so the ratio is 1, and whatever is found is a
false alarm. Seeded: the same draws give the same table. Steps are of 1 ms with 1% of noise, whose
neighbours correlate by 0.3 where nothing else is said; runs scatter by 3%.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.analysis.compare.comparison import compare
from harness.analysis.compare.evidence import evidence
from harness.analysis.compare.gate import gate
from harness.analysis.compare.samples import Sample, Side, Subject
from harness.analysis.compare.verdict import compare_samples
from harness.analysis.statistics.bootstrap import median_interval, paired_ratio_interval
from harness.analysis.statistics.run_tests import mean_interval, neighbours_alike
from harness.capture.calibrate import compare_periods

Float = NDArray[np.float64]
Process = Callable[[np.random.Generator, int], Float]
"""(generator, steps) -> the times of one run's steps in ns."""

MS = 1e6


def correlated(rng: np.random.Generator, steps: int, rho: float) -> Float:
    """A first-order autoregression of unit variance, shape (steps,)."""
    noise = rng.standard_normal(steps + 50) * math.sqrt(1 - rho * rho)
    for k in range(1, len(noise)):
        noise[k] += rho * noise[k - 1]
    return noise[50:]


def _ar(rho: float) -> Process:
    return lambda rng, steps: MS * (1 + 0.01 * correlated(rng, steps, rho))


def _two_speeds(rng: np.random.Generator, steps: int) -> Float:
    """The host takes 20% longer for stretches of 5 steps on average, half of the time."""
    slow = (np.cumsum(rng.random(steps) < 0.2) + rng.integers(2)) % 2
    return _ar(0.3)(rng, steps) + 0.2 * MS * slow


def _stalled(rng: np.random.Generator, steps: int) -> Float:
    """Every second run has a step of five times the length, anywhere."""
    found = _ar(0.3)(rng, steps)
    found[rng.integers(steps)] += 4 * MS * rng.integers(2)
    return found


def _edge(rng: np.random.Generator, steps: int) -> Float:
    """Every second run has a first step that is 40% longer."""
    found = _ar(0.3)(rng, steps)
    found[0] += 0.4 * MS * rng.integers(2)
    return found


def _shift(share: float) -> Process:
    def run(rng: np.random.Generator, steps: int) -> Float:
        at = rng.integers(steps // 4, steps - steps // 4 + 1)
        return _ar(0.3)(rng, steps) * (1 + share * (np.arange(steps) >= at))

    return run


PROCESSES: Mapping[str, Process] = {
    "correlation -0.5": _ar(-0.5),
    "independent": _ar(0.0),
    "correlation 0.5": _ar(0.5),
    "correlation 0.8": _ar(0.8),
    "a host of two speeds": _two_speeds,
    "one stall, or none": _stalled,
    "a slow first step, or none": _edge,
    "level shift of 5%": _shift(0.05),
    "level shift of 20%": _shift(0.2),
}
LENGTHS = (18, 60, 120)


class Rate(NamedTuple):
    """What one line of a table says: of `draws`, how many were `given`, and how many of those
    covered (or of all, raised a false alarm)."""

    good: int
    given: int
    draws: int

    @property
    def share(self) -> float:
        """Of those given, 1 where there were none."""
        return self.good / self.given if self.given else 1.0

    def __str__(self) -> str:
        if self.given < self.draws / 20:
            return "none given"
        given = f" ({self.given / self.draws:.0%} given)" if self.given < 0.995 * self.draws else ""
        return f"{self.share:.1%}{given}"


def of_steps(process: Process, steps: int, statistic: str, draws: int, seed: int) -> Rate:
    """How often the ratio of one run's steps to another's lies in its interval."""
    rng = np.random.default_rng([seed, steps])
    good = given = 0
    for _ in range(draws):
        a, b = (
            Sample("step", "ns", (process(rng, steps),), statistic=statistic)  # type: ignore[arg-type]
            for _ in range(2)
        )
        found = evidence(a, b, 0.95)
        if found.low is not None and found.high is not None:
            given += 1
            good += found.low <= 1 <= found.high
    return Rate(good, given, draws)


def _normal(rng: np.random.Generator, runs: int) -> Float:
    return MS * np.exp(0.03 * rng.standard_normal(runs))


def _skewed(rng: np.random.Generator, runs: int) -> Float:
    return MS * np.exp(0.1 * rng.standard_exponential(runs))


def _disturbed(rng: np.random.Generator, runs: int) -> Float:
    far = (rng.random(runs) < 0.1) * rng.exponential(0.5, runs)
    return MS * np.exp(0.02 * rng.standard_normal(runs) + far)


def _drifting(rng: np.random.Generator, runs: int) -> Float:
    """Rounds of one session: neighbours correlate by 0.3, as those of an H100."""
    return MS * np.exp(0.03 * correlated(rng, runs, 0.3))


SCATTER: Mapping[str, Process] = {
    "normal": _normal,
    "skewed": _skewed,
    "one run in ten disturbed": _disturbed,
}
COUNTS = ((3, 3), (5, 5), (10, 10), (1, 5), (2, 6), (3, 12))


def of_runs(scatter: Process, counts: tuple[int, int], draws: int, seed: int) -> Rate:
    """How often the ratio of some runs to others lies in its interval."""
    rng = np.random.default_rng([seed, *counts])
    good = 0
    for _ in range(draws):
        a, b = (_runs(scatter(rng, n)) for n in counts)
        found = evidence(a, b, 0.95)
        assert found.low is not None
        assert found.high is not None
        good += found.low <= 1 <= found.high
    return Rate(good, draws, draws)


HISTORIES = (3, 5, 10)


def of_history(scatter: Process, past: int, draws: int, seed: int) -> Rate:
    """How often the ratio of two single runs lies in the interval that a history gives it."""
    rng = np.random.default_rng([seed, past, 17])
    good = 0
    for _ in range(draws):
        a, b, before = (_runs(scatter(rng, n)) for n in (1, 1, past))
        found = evidence(a, b, 0.95, before)
        assert found.low is not None
        assert found.high is not None
        good += found.low <= 1 <= found.high
    return Rate(good, draws, draws)


def _runs(values: Float, **about: object) -> Sample:
    return Sample("runtime", "ns", tuple(values.reshape(-1, 1)), **about)  # type: ignore[arg-type]


def of_rounds(draws: int, seed: int) -> Iterator[tuple[str, Rate]]:
    """Runs of sessions: halves of one, whole ones apart, and rounds in common."""
    rng = np.random.default_rng([seed, 7])
    halves = pairs = medians = ratios = means = 0
    for _ in range(draws):
        # As in a session of ours: many cells tell how much its rounds are alike.
        alike = neighbours_alike([_drifting(rng, 10) for _ in range(12)])
        whole = _drifting(rng, 10)
        found = evidence(_runs(whole[:5], alike=alike), _runs(whole[5:], alike=alike), 0.95)
        halves += (found.low or 0) <= 1 <= (found.high or 0)
        both = _drifting(rng, 5)
        first, second = (both * _normal(rng, 5) / MS for _ in range(2))
        about = {"session": "s", "rounds": tuple(range(5))}
        found = evidence(_runs(first, **about), _runs(second, **about), 0.95)
        pairs += (found.low or 0) <= 1 <= (found.high or 0)
        middle = median_interval(_normal(rng, 8))
        medians += middle is not None and middle.low <= MS <= middle.high
        ratio = paired_ratio_interval(_normal(rng, 8), _normal(rng, 8))
        ratios += ratio is not None and ratio.low <= 1 <= ratio.high
        mean = mean_interval(_normal(rng, 3), 0.95)
        means += mean is not None and mean.low <= MS * math.exp(0.03**2 / 2) <= mean.high
    yield "first 5 rounds against last 5 of one session", Rate(halves, draws, draws)
    yield "5 common rounds, round by round", Rate(pairs, draws, draws)
    yield "median of 8 runs", Rate(medians, draws, draws)
    yield "median ratio of 8 common rounds", Rate(ratios, draws, draws)
    yield "step without the profiler, 3 runs", Rate(means, draws, draws)


GATED = (("step", "mean"), ("median step", "median"), ("idle", "mean"), ("median idle", "median"))


def recording(rng: np.random.Generator, runs: int, scale: float = 1.0) -> Side:
    """Runs of one loop, 20 steps each: 3% between runs, 1% between steps, a stall in one of ten;
    as `harness compare` looks at a folder of traces. `scale` lengthens the idle time."""
    steps, idles = [], []
    for _ in range(runs):
        idle = 0.3 * MS * math.exp(0.1 * rng.standard_normal()) * scale
        step = 0.7 * MS + idle + 0.01 * MS * correlated(rng, 20, 0.3)
        step[rng.integers(20)] += 4 * MS * (rng.random() < 0.1)
        steps.append(step)
        idles.append(step - 0.7 * MS)
    samples = {
        metric: Sample(
            metric, "ns", tuple(idles if "idle" in metric else steps),
            statistic=statistic,  # type: ignore[arg-type]
        )
        for metric, statistic in GATED
    }  # fmt: skip
    return Side("x", {}, (Subject("loop", samples),))


def of_gates(
    counts: tuple[int, int], scale: float, draws: int, seed: int, past: int = 0
) -> tuple[Rate, Rate]:
    """(how often `--fail-above 0%` ends with 3, and with 4) where the idle time is `scale` times as
    long in the second recording; with a `--history` of so many runs."""
    rng = np.random.default_rng([seed, *counts, *([past] if past else [])])
    failed = unjudged = 0
    for _ in range(draws):
        history = recording(rng, past) if past else None
        sides = recording(rng, counts[0]), recording(rng, counts[1], scale)
        found = gate(compare(*sides, history=history), 0.0)
        failed += bool(found.regressions)
        unjudged += bool(found.unjudged) and not found.regressions
    return Rate(failed, draws, draws), Rate(unjudged, draws, draws)


def of_calibration(draws: int, seed: int) -> Rate:
    """How often a profiler that adds nothing is said to add something, or to take it away."""
    rng = np.random.default_rng([seed, 11])
    sure = 0
    for _ in range(draws):
        plain, profiled = (
            [(one * _ar(0.3)(rng, 18)).astype(np.int64).tolist() for one in _normal(rng, n) / MS]
            for n in (3, 1)
        )
        verdict = compare_periods(plain, profiled)["inflation"]["verdict"]
        sure += verdict not in ("not significant", "too few")
    return Rate(sure, draws, draws)


def of_single(process: Process, draws: int, seed: int) -> Rate:
    """How often anything is called better or worse on one run of each."""
    rng = np.random.default_rng([seed, 13])
    called = 0
    for _ in range(draws):
        level = _normal(rng, 2) / MS
        a, b = (Sample("step", "ns", (one * process(rng, 40),)) for one in level)
        called += compare_samples("x", a, b, 0.95).verdict in ("better", "worse")
    return Rate(called, draws, draws)


def _table(*rows: tuple[object, ...]) -> str:
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]]) + "\n"


def tables(draws: int, seed: int) -> Iterator[str]:
    """The tables, one after the other."""
    heads = [f"{n} steps" for n in LENGTHS]
    for statistic in ("mean", "median"):
        rows = [
            (name, *(of_steps(process, n, statistic, draws, seed) for n in LENGTHS))
            for name, process in PROCESSES.items()
        ]
        yield _table((f"{statistic} of steps, one run against one", *heads), *rows)
    yield _table(
        ("runs against runs", *SCATTER),
        *(
            (
                f"{n} and {m}",
                *(of_runs(scatter, (n, m), draws, seed) for scatter in SCATTER.values()),
            )
            for n, m in COUNTS
        ),
        *(
            (
                f"1 and 1, by a history of {past}",
                *(of_history(scatter, past, draws, seed) for scatter in SCATTER.values()),
            )
            for past in HISTORIES
        ),
    )
    yield _table(("sessions and calibration", "covers"), *of_rounds(draws, seed))
    rows = []
    for counts in ((1, 1), (2, 2), (3, 3), (5, 5), (1, 5)):
        equal, doubled = (of_gates(counts, scale, draws, seed) for scale in (1.0, 2.0))
        rows.append((f"{counts[0]} and {counts[1]}", *equal, *doubled))
    for past in HISTORIES:
        equal, doubled = (of_gates((1, 1), scale, draws, seed, past) for scale in (1.0, 2.0))
        rows.append((f"1 and 1, by a history of {past}", *equal, *doubled))
    yield _table(
        ("`--fail-above 0%`", "equal: 3", "equal: 4", "idle time doubled: 3", "doubled: 4"), *rows
    )
    yield _table(
        ("false alarms", "share"),
        ("better or worse on one run of each", of_single(_ar(0.3), draws, seed)),
        ("calibration is sure where nothing was added", of_calibration(draws, seed)),
    )


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=1000, help="simulated comparisons a figure")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    for table in tables(asked.draws, asked.seed):
        print(table, flush=True)


if __name__ == "__main__":
    main()
