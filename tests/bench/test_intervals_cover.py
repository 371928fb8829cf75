"""Intervals and tests on simulated samples: they cover and they err as often as they say."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.compare.samples import Sample
from harness.analysis.compare.verdict import compare_samples
from harness.analysis.statistics.bootstrap import (
    median_interval,
    paired_ratio_interval,
)
from harness.analysis.statistics.permutation import DRAWS, midranks, signed_rank_p
from harness.analysis.statistics.run_tests import difference
from harness.analysis.statistics.step_level import (
    MIN_STEPS,
    block_length,
    mean_of_steps,
    median_of_steps,
    stationary_blocks,
)
from harness.analysis.statistics.t_distribution import half_width, two_sided_p

from .simulate import ar1, at_least, at_most, runs

# Student's table: (confidence, degrees of freedom, t).
TABLE = [
    (0.95, 1, 12.706),
    (0.95, 2, 4.303),
    (0.95, 5, 2.571),
    (0.95, 30, 2.042),
    (0.99, 10, 3.169),
    (0.90, 4, 2.132),
    (0.95, 1e6, 1.960),
]


@pytest.mark.parametrize(("confidence", "freedom", "t"), TABLE)
def test_students_table(confidence: float, freedom: float, t: float) -> None:
    assert half_width(confidence, freedom) == pytest.approx(t, abs=6e-4)
    assert two_sided_p(t, freedom) == pytest.approx(1 - confidence, abs=2e-4)


@pytest.mark.parametrize("kind", ["normal", "skewed", "disturbed"])
@pytest.mark.parametrize("n", [6, 7, 10, 20])
def test_a_median_is_in_its_interval(kind: str, n: int) -> None:
    rng = np.random.default_rng(n)
    count = 200
    found = [median_interval(sample) for sample in runs(rng, kind, (count, n))]
    assert {one.confidence for one in found} == {0.95}
    covered = np.mean([one.low <= 1e8 <= one.high for one in found])
    assert covered >= at_least(0.93, count)


def test_few_runs_say_how_little_their_range_is_worth() -> None:
    found = median_interval(np.array([3.0, 1.0, 2.0, 4.0]))
    assert (found.low, found.estimate, found.high) == (1.0, 2.5, 4.0)
    assert found.confidence == pytest.approx(1 - 2 / 16)
    assert found.method == "range"
    assert median_interval(np.array([1.0])) is None


def test_pairs_take_out_what_both_share() -> None:
    rng = np.random.default_rng(0)
    drift = np.exp(np.linspace(0, 1, 10))  # the machine gets slower from round to round
    before = drift * np.exp(0.01 * rng.standard_normal(10))
    after = 1.1 * drift * np.exp(0.01 * rng.standard_normal(10))
    paired, apart = paired_ratio_interval(before, after), difference(np.log(before), np.log(after))
    assert 1.08 < paired.low < 1.1 < paired.high < 1.12
    low, high = apart.interval(0.95)
    assert low < 0 < high


STEPS = [(18, -0.5), (18, 0.0), (18, 0.5), (60, 0.0), (60, 0.5), (60, 0.8)]


@pytest.mark.parametrize(("n", "rho"), STEPS)
def test_the_mean_of_autocorrelated_steps_is_in_its_interval(n: int, rho: float) -> None:
    count = 200
    series = 1000 + 50 * ar1(np.random.default_rng(n), count, n, rho)
    found = [mean_of_steps(one).interval() for one in series]
    covered = np.mean([one.low <= 1000 <= one.high for one in found])
    assert covered >= at_least(0.92, count)


def test_forgetting_the_autocorrelation_would_be_noticed() -> None:
    """The same simulation with independent resampling: it must fail, or it proves nothing."""
    count = 200
    rng = np.random.default_rng(60)
    series = ar1(rng, count, 60, 0.6)
    covered = 0
    for one in series:
        drawn = one[rng.integers(0, 60, (400, 60))].mean(axis=1)
        low, high = np.quantile(drawn, [0.025, 0.975])
        covered += low <= 0 <= high
    assert covered / count < 0.8


ALARMS = {"these runs differ", "negligible"}


def samples(series: np.ndarray, scale: float = 1.0) -> Sample:
    return Sample("step", "ns", tuple(scale * one for one in series))


@pytest.mark.parametrize(("n", "rho"), [(18, -0.5), (18, 0.5), (60, 0.0), (60, 0.8)])
def test_no_false_alarms_on_equal_processes(n: int, rho: float) -> None:
    count = 200
    series = 1000 + 50 * ar1(np.random.default_rng(n + 1), 2 * count, n, rho)
    alarms = 0
    for a, b in zip(series[:count], series[count:], strict=True):
        found = compare_samples("x", samples(a[None]), samples(b[None]), 0.95)
        alarms += found.verdict in ALARMS
    assert alarms / count <= at_most(0.05, count)


@pytest.mark.parametrize("kind", ["normal", "skewed", "disturbed"])
@pytest.mark.parametrize("n", [3, 5, 12])
def test_no_false_alarms_on_equal_runs(kind: str, n: int) -> None:
    count = 200
    drawn = runs(np.random.default_rng(n), kind, (count, 2, n, 1))
    alarms = 0
    for a, b in drawn:
        found = compare_samples("x", samples(a), samples(b), 0.95)
        alarms += found.verdict != "not significant"
    assert alarms / count <= at_most(0.05, count)


def test_a_stricter_confidence_errs_less() -> None:
    count = 200
    series = 1000 + 50 * ar1(np.random.default_rng(5), 2 * count, 40, 0.4)
    alarms = sum(
        compare_samples("x", samples(a[None]), samples(b[None]), 0.99).verdict in ALARMS
        for a, b in zip(series[:count], series[count:], strict=True)
    )
    assert alarms / count <= at_most(0.01, count)


@pytest.mark.parametrize("slower", [1.10, 0.90])
def test_a_real_change_is_found(slower: float) -> None:
    series = 1e6 + 3e4 * ar1(np.random.default_rng(2), 40, 60, 0.4)
    found = [
        compare_samples("x", samples(a[None]), samples(b[None], slower), 0.95)
        for a, b in zip(series[:20], series[20:], strict=True)
    ]
    given = [one for one in found if one.p is not None]
    assert {one.verdict for one in given} == {"these runs differ"}
    assert len(given) >= 15  # some look as if they changed their level
    assert np.mean([one.low <= slower <= one.high for one in given]) >= 0.8


def test_blocks_are_runs_of_neighbours_that_wrap_round() -> None:
    rng = np.random.default_rng(0)
    drawn = stationary_blocks(rng, 50, 10.0, 400)
    assert drawn.shape == (400, 50)
    goes_on = np.diff(drawn, axis=1) % 50 == 1
    # One position in ten begins a block (and one in fifty of those goes on by chance).
    assert 1 - goes_on.mean() == pytest.approx(0.1 * (1 - 1 / 50), abs=0.01)
    assert np.bincount(drawn.ravel(), minlength=50).min() > 0


def test_block_length_follows_the_dependence() -> None:
    rng = np.random.default_rng(0)
    independent = np.median([block_length(one) for one in ar1(rng, 40, 400, 0.0)])
    some = np.median([block_length(one) for one in ar1(rng, 40, 400, 0.5)])
    strong = np.median([block_length(one) for one in ar1(rng, 40, 400, 0.9)])
    assert independent < 2 < some < strong
    assert block_length(np.ones(20)) == 1.0


def test_steps_that_repeat_exactly_have_no_error() -> None:
    found = mean_of_steps(np.full(30, 7.0))
    assert (found.value, found.below, found.above) == (7.0, 0.0, 0.0)
    middle = median_of_steps(np.full(60, 7.0))
    assert (middle.value, middle.below, middle.above) == (7.0, 0.0, 0.0)
    assert mean_of_steps(np.arange(MIN_STEPS - 1.0)) is None


def brute_signed_rank(values: np.ndarray) -> float:
    kept = values[values != 0]
    ranks = midranks(np.abs(kept))
    seen = abs((ranks * np.sign(kept)).sum())
    every = list(itertools.product((-1, 1), repeat=len(kept)))
    return sum(abs(ranks @ np.array(signs)) >= seen - 1e-9 for signs in every) / len(every)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=7))
@settings(max_examples=60, deadline=None)
def test_signed_ranks_count_every_arrangement(values: list[int]) -> None:
    x = np.array(values, float)
    expected = brute_signed_rank(x) if x.any() else 1.0
    assert signed_rank_p(x) == pytest.approx(expected)
    assert signed_rank_p(x) == pytest.approx(signed_rank_p(-x))


def test_ranks_by_hand() -> None:
    assert signed_rank_p(np.arange(1.0, 7.0)) == pytest.approx(2 / 2**6)
    assert signed_rank_p(np.zeros(5)) == 1.0
    # Too many arrangements to count: the draws agree with the normal approximation.
    rng = np.random.default_rng(1)
    assert signed_rank_p(rng.standard_normal(30) + 3) == pytest.approx(1 / (1 + DRAWS))
    assert 0.05 < signed_rank_p(rng.standard_normal(30)) <= 1
