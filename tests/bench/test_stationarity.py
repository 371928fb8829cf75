"""Runs that change their level on the way, and those that only look so."""

from __future__ import annotations

import math

import numpy as np
import pytest

from harness.analysis.statistics.stationarity import level_shift

from .simulate import ar1, at_most

NOISE = ar1(np.random.default_rng(4), 200, 60, 0.3)


@pytest.mark.parametrize("at", [15, 30, 45])
@pytest.mark.parametrize("share", [0.06, -0.06, 0.5])
def test_a_shift_is_found_where_it_is(at: int, share: float) -> None:
    steps = 1000 * (1 + 0.01 * NOISE[0])
    steps[at:] *= 1 + share
    found = level_shift(steps)
    assert found is not None
    assert abs(found.steps - at) <= 1
    assert found.share == pytest.approx(share, abs=0.02)
    assert found.after / found.before == pytest.approx(1 + found.share)
    backwards = level_shift(steps[::-1])
    assert backwards is not None
    assert backwards.steps == len(steps) - found.steps


def test_below_three_percent_nothing_is_refused() -> None:
    assert level_shift(np.repeat([1000.0, 1029.0], 30)) is None
    assert level_shift(np.repeat([1000.0, 1031.0], 30)).steps == 30


@pytest.mark.parametrize("at", [0, 1, 30, 59])
def test_a_stalled_step_is_no_shift(at: int) -> None:
    steps = 1000 * (1 + 0.01 * NOISE[1])
    steps[at] = 1e6
    assert level_shift(steps) is None
    assert level_shift(np.where(np.arange(60) == at, 1e6, 1000.0)) is None


def test_steady_runs_are_refused_rarely() -> None:
    """One in a hundred by the test, where noise is so large that three percent are nothing."""
    found = [level_shift(1000 * (1 + 0.3 * one)) for one in NOISE]
    assert sum(one is not None for one in found) / len(found) <= at_most(0.03, len(found))


def test_idle_time_that_begins_on_the_way_is_a_shift_from_nothing() -> None:
    found = level_shift(np.repeat([0.0, 500.0], 20))
    assert found is not None
    assert (found.steps, found.before, found.share) == (20, 0.0, math.inf)
    assert level_shift(np.zeros(40)) is None
    assert level_shift(np.arange(7.0)) is None  # too few to have two sides
