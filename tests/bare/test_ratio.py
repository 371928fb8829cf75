"""How sure the ratio of blocks with a recorder to blocks without is, on hosts of all kinds.

Simulated hosts, of which the true ratio is known: each interval must hold it about as often as it
says.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.bare.blocks import Block, Blocks, pairs_of
from harness.analysis.bare.ratio import Pairs, ratio_of
from harness.analysis.statistics.interval import Float

TRUE = 1.15
STEPS = 4
DRAWS = 400
Host = Callable[[np.random.Generator, int], Float]
"""(generator, steps) -> the logarithm of the time that each takes there, times a constant."""


def quiet(random: np.random.Generator, steps: int) -> Float:
    return np.zeros(steps)


def drifts(random: np.random.Generator, steps: int) -> Float:
    """A random walk, by about 2 % from block to block."""
    return np.cumsum(random.normal(0, 0.01, steps))


def jumps(random: np.random.Generator, steps: int) -> Float:
    """Twice as slow after every tenth block or so, until after another ten."""
    return math.log(2) * (np.cumsum(random.random(steps) < 1 / (10 * STEPS)) % 2)


HOSTS = (quiet, drifts, jumps)


def simulated(host: Host, pairs: int, random: np.random.Generator) -> Blocks:
    """Blocks in turns, each step of them by itself off by 2 %."""
    steps = (2 * pairs + 1) * STEPS
    ns = 1e6 * np.exp(host(random, steps) + random.normal(0, 0.02, steps))
    host_ns = ns.reshape(-1, STEPS).sum(axis=1)
    rows = [
        Block(k % 2 == 1, STEPS, float(ns * (TRUE if k % 2 else 1))) for k, ns in enumerate(host_ns)
    ]
    return Blocks("made-up", "a test", tuple(rows))


@pytest.mark.parametrize("pairs", [12, 24, 48])
@pytest.mark.parametrize("host", HOSTS)
def test_intervals_hold_the_true_ratio_as_often_as_they_say(host: Host, pairs: int) -> None:
    random = np.random.default_rng(pairs)
    found = [ratio_of(pairs_of(simulated(host, pairs, random))) for _ in range(DRAWS)]
    low, high = (np.array([getattr(one, end) for one in found]) for end in ("low", "high"))
    assert ((low <= TRUE) & (high >= TRUE)).mean() >= 0.92
    # It misses on both sides, about as often.
    assert max((low > TRUE).mean(), (high < TRUE).mean()) <= 0.06
    estimates = np.log([one.estimate for one in found])
    assert abs(estimates.mean() - math.log(TRUE)) < 4 * estimates.std() / math.sqrt(DRAWS)


@pytest.mark.parametrize("host", HOSTS)
def test_more_pairs_are_surer(host: Host) -> None:
    random = np.random.default_rng(1)

    def width(pairs: int) -> float:
        found = [ratio_of(pairs_of(simulated(host, pairs, random))) for _ in range(40)]
        return float(np.median([one.high / one.low - 1 for one in found]))

    assert width(48) < width(12)


def test_a_jump_between_neighbours_costs_little() -> None:
    """On a host that is quiet but for one jump, the pair that lies across it hardly counts."""
    random = np.random.default_rng(2)
    rows = simulated(quiet, 12, random).blocks
    late = tuple(replace(one, host_ns=one.host_ns * 2) for one in rows[9:])
    plain, jumped = (ratio_of(pairs_of(Blocks("", "", one))) for one in (rows, rows[:9] + late))
    assert jumped.estimate == pytest.approx(plain.estimate, rel=0.002)
    assert jumped.high / jumped.low < 1.01 * plain.high / plain.low


sizes = st.floats(0.01, 100)


@given(st.lists(st.tuples(sizes, st.floats(0, 2)), min_size=2, max_size=12), sizes, st.data())
def test_what_a_recorded_block_says_has_no_part_in_its_weight(
    rows: list[tuple[float, float]], times: float, data: st.DataObject
) -> None:
    """However slow it is, it moves the ratio by as much as any pair with such neighbours would."""
    bare = np.array([ns for ns, _ in rows])
    apart = np.array([by for _, by in rows])
    shared = np.arange(len(rows)) > 0
    k = data.draw(st.integers(0, len(rows) - 1))
    recorded = bare.copy()
    recorded[k] *= times
    moved = math.log(ratio_of(Pairs(bare, recorded, apart, shared)).estimate)
    recorded[k] *= times
    twice = math.log(ratio_of(Pairs(bare, recorded, apart, shared)).estimate)
    assert twice == pytest.approx(2 * moved, abs=1e-9)
    # Its weight is that of its neighbours: the least alike counts least.
    share = abs(moved / math.log(times)) if abs(math.log(times)) > 1e-3 else 1 / len(rows)
    if apart[k] == apart.min():
        assert share >= 1 / len(rows) - 1e-6
    if apart[k] == apart.max():
        assert share <= 1 / len(rows) + 1e-6


def test_pairs_that_share_a_neighbour_are_less_sure() -> None:
    random = np.random.default_rng(3)
    pairs = pairs_of(simulated(quiet, 12, random))
    alone = ratio_of(replace(pairs, shared=np.zeros(12, np.bool_)))
    both = ratio_of(pairs)
    assert both.estimate == alone.estimate
    wider = math.log(both.high / both.low) / math.log(alone.high / alone.low)
    assert 1.1 < wider < math.sqrt(4 / 3)
