"""Which names are steps, and when work counts as steady."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.capture.cupti import steady
from harness.capture.cupti.step_names import family, matcher

MS = 10**6


@pytest.mark.parametrize(
    ("name", "number"),
    [
        ("Step 7", 7), ("Steps 8:16", 8), ("ProfilerStep#12", 12), ("train_step 3", 3),
        ("train_step_3", 3), ("Iteration 4", 4), ("iter=5", 5), ("batch-6", 6), ("trainStep7", 7),
        ("STEP 8", 8), ("Step 30 to 31", 30), ("train_step", None), ("step[DECODE bs=32]", None),
        ("execute_context_0(0)_generation_16(16)", None), ("epoch 1 / step 9", 9),
    ],
)  # fmt: skip
def test_names_of_steps(name, number):
    assert matcher([], [])(name) == (number,)


@pytest.mark.parametrize(
    "name",
    ["forward", "aten::mm", "Model Forward", "Check Stop Condition", "stepwise", "footsteps",
     "layer 3", "minibatch", "gemm_128x128", "", "overstep 3x", "Optimizers"],
)  # fmt: skip
def test_names_of_other_ranges(name):
    assert matcher([], [])(name) is None


def test_names_that_were_asked_for():
    assert matcher(["forw*"], [])("forward 3") == (3,)
    assert matcher(["forw*"], [])("Step 3") is None
    assert matcher([], ["^tok[a-z]+$"])("token") == (None,)


def test_a_family_is_the_name_without_its_numbers():
    assert family("Step 7") == family("Step 123") != family("step 7")


def begun(periods_ms):
    """A clock that was told of steps so far apart."""
    clock, now = steady.StepClock(), 0
    clock.begins(now)
    for period in periods_ms:
        now += period * MS
        clock.begins(now)
    return clock


@pytest.mark.parametrize(
    ("periods", "expected"),
    [
        ([900, 100, 10, 10], False),
        ([900, 100, 10, 10, 10], True),
        ([10, 10, 10, 10], False),  # the first two are not looked at
        ([900, 100, 10, 10, 12], False),
        ([900, 100, 10, 30, 10, 10, 11], True),
        ([15_000, 6_000], True),  # too long to wait for any further
    ],
)
def test_steps_are_steady_once_three_in_a_row_agree(periods, expected):
    assert begun(periods).steady is expected


@given(st.lists(st.integers(1, 10**4), min_size=5, max_size=30))
def test_steps_that_count_as_steady_agree_or_took_too_long(periods):
    clock = begun(periods)
    last = periods[2:][-3:]
    agree = len(last) == 3 and max(last) <= steady.AGREE * min(last)
    assert clock.steady == (agree or sum(periods) * MS >= steady.STEPS_CAP_NS)


def counted(rates, tick_ms=50):
    """A clock that was told of so many launches a tick; when it was first steady, in ms."""
    clock, total = steady.LaunchClock(), 0
    for tick, rate in enumerate(rates):
        total += rate
        clock.count(tick * tick_ms * MS, total)
        if clock.steady(tick * tick_ms * MS):
            return tick * tick_ms
    return None


def test_launches_are_steady_after_a_second_at_one_pace():
    assert counted([0] * 40) is None
    assert 1000 <= counted([10] * 40) <= 1300
    at = counted([0] * 20 + [200] * 10 + [3, 50, 7, 0] * 2 + [10] * 60)
    assert 38 * 50 + 1000 <= at <= 38 * 50 + 1300


def test_long_steps_are_steady_by_longer_stretches():
    clock, total = steady.LaunchClock(), 0
    for tick in range(400):  # 5 of 12 ticks, 600 ms, have all the launches of a step
        total += 100 if tick % 12 < 5 else 0
        clock.count(tick * 50 * MS, total)
        if clock.steady(tick * 50 * MS):
            break
    assert tick * 50 <= 9000
    assert clock.seen_s in (2, 4, 8)
    assert not clock.capped


def test_launches_that_never_settle_are_recorded_all_the_same():
    wild = [400 * (tick % 171 == 0) for tick in range(900)]
    assert steady.LAUNCHES_CAP_NS // MS <= counted(wild) <= steady.LAUNCHES_CAP_NS // MS + 500
