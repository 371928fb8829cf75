"""Which manifests prove a bare timeline, and what the proof says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import asdict, replace

from harness.analysis.bare.blocks import Blocks, NoBlocks, pairs_of, read_blocks
from harness.analysis.bare.costs import LAUNCH, Costs
from harness.analysis.bare.prior import CUPTI, Prior, priors, priors_of, recorder_of
from harness.analysis.bare.proof import MOST_TIMES, Proved, fitted_factor, prove
from harness.analysis.bare.ratio import Pairs, ratio_of
from harness.analysis.bare.result import AsRecorded
from harness.analysis.bare.step import steady_step
from harness.analysis.bare.take_out import read_recorded
from harness.analysis.model.trace import Trace
from harness.analysis.statistics.interval import Interval
from tests.gains.programs import recorded

from .support import TIMING, cost, costly, loop
from .test_comes_back import LOOPS

WIGGLE = (1.0, 1.004, 0.998, 1.001, 0.997, 1.003, 1.002, 0.999)


def blocks(bare_ns: float, recorded_ns: float, pairs: int = 8, **more: Any) -> dict[str, Any]:
    """Recorded blocks of 4 steps, each between two without the recorder, on a host that drifts by
    far more than the recorder costs."""
    rows = []
    for k in range(2 * pairs + 1):
        ns = recorded_ns * WIGGLE[k // 2 % 8] if k % 2 else bare_ns
        rows.append(
            {
                "recorded": k % 2 == 1,
                "at_ns": k * 1_000_000,
                "steps": 4,
                "host_ns": 4 * ns * (1 + 0.1 * k),
            }
        )
    return {
        "version": 1, "recorder": "made-up", "library_version": 130000, "made_bare": "finalised",
        "reason": None, "blocks": rows,
    } | more  # fmt: skip


def known(costs: Costs) -> dict[str, Prior]:
    return {"made-up": Prior("made-up", costs, costs, "a test", "2026-12-01")}


def with_blocks(trace: Trace, table: object) -> Trace:
    return replace(trace, source=replace(trace.source, manifest={"bare": table}))


def recording(name: str, inside: int = 2_000, outside: int = 1_000) -> tuple[Trace, float, float]:
    """A recorded loop, and its steady step without and with the recorder, ns."""
    program = loop(LOOPS[name], steps=24)
    bare = steady_step(recorded(program, TIMING))
    trace = recorded(costly(program, inside, outside), TIMING)
    long = steady_step(trace)
    assert bare is not None
    assert long is not None
    return trace, bare.ns, long.ns


@pytest.mark.parametrize("name", [one for one in LOOPS if one not in ("gpu_bound",)])
def test_a_recording_with_bare_blocks_proves_its_bare_timeline(name: str) -> None:
    trace, bare, long = recording(name)
    found = prove(with_blocks(trace, blocks(bare, long)), known(cost(1_000, 500)))
    assert not isinstance(found, AsRecorded), found
    proof = found.bare
    assert abs(proof.error) < 0.01
    assert proof.error_low <= proof.error <= proof.error_high
    assert proof.step_ns == pytest.approx(bare, rel=0.01)
    assert proof.recorded_ns == long
    low, high = proof.measured_interval_ns
    assert low <= proof.measured_ns <= high
    assert proof.measured_ns == pytest.approx(bare, rel=0.01)
    assert (proof.blocks, proof.steps, proof.made_bare) == (9, 36, "finalised")
    again = steady_step(found.trace)
    assert again is not None
    assert again.ns == proof.step_ns
    if name in ("host_bound", "item"):  # each half of the costs that were put in is a prior's
        assert proof.factor == pytest.approx(2, abs=0.15)


def test_of_a_loop_that_the_gpu_bounds_the_prior_is_believed() -> None:
    """Its step goes by no call: that is no evidence that calls cost nothing."""
    trace, bare, long = recording("gpu_bound", 200, 100)
    assert bare == pytest.approx(long, rel=0.001)
    found = prove(with_blocks(trace, blocks(bare, long)), known(cost(200, 100)))
    assert isinstance(found, Proved)
    assert found.bare.factor == pytest.approx(1.0, abs=0.01)


def between(ratio: float, error: float) -> Interval:
    """That ratio, with this standard error of its logarithm."""
    reach = math.exp(1.96 * error)
    return Interval(ratio, ratio / reach, ratio * reach, 0.95, "a test")


def test_the_factor_is_that_which_was_put_in_where_blocks_are_sure() -> None:
    trace, bare, long = recording("host_bound", 2_400, 1_200)
    step = steady_step(trace)
    assert step is not None
    source, known_cost = read_recorded(trace), cost(2_000, 1_000)

    def factor(ratio: float, error: float, costs: Costs = known_cost) -> float:
        return fitted_factor(source, step, costs, between(ratio, error))

    assert factor(long / bare, 0.001) == pytest.approx(1.2, abs=0.02)
    # The less sure the blocks are, the nearer is the factor to what is known of the recorder.
    unsure = [factor(long / bare, error) for error in (0.001, 0.02, 0.1, 0.3, 2.0)]
    assert unsure == sorted(unsure, reverse=True)
    assert 1 <= unsure[-1] < 1.05
    assert fitted_factor(source, step, known_cost, ratio_of(_pairs([bare], [long]))) == unsure[-1]
    # A recorder that costs a little less or more than known, in either direction.
    assert factor(1 + 0.8 * (long / bare - 1), 0.001) < factor(long / bare, 0.001)
    # No factor is out of bounds, and costs of nothing have none.
    assert factor(100.0, 0.001) <= MOST_TIMES
    assert factor(0.01, 0.001) >= 1 / MOST_TIMES
    assert factor(long / bare, 0.001, Costs()) == pytest.approx(1.0)


def reason(trace: Trace, table: object, costs: Costs | None = None) -> str:
    found = prove(with_blocks(trace, table), known(cost(1_000, 500) if costs is None else costs))
    assert isinstance(found, AsRecorded)
    return found.reason


def test_where_there_is_no_proof_it_says_why() -> None:
    trace, bare, long = recording("host_bound")
    assert prove(trace) == AsRecorded("no steps without the recorder were measured beside it")
    why = "the program ended with its window"
    assert reason(trace, blocks(1, 1, 0, reason=why)) == f"no bare blocks: {why}"
    few = "between two without the recorder"
    for pairs, text in (
        (3, f"3 recorded blocks {few} are too few to fit and to test"),
        (1, f"1 recorded block {few} is too few to fit and to test"),
        (0, f"no recorded block {few} is too few to fit and to test"),
    ):
        assert reason(trace, blocks(bare, long, pairs)) == text
    wild = blocks(bare, long)
    for one in wild["blocks"][1::4]:
        one["host_ns"] *= 1.2
    assert reason(trace, wild).startswith("pairs of bare and recorded blocks differ")
    # As if the recorder cost other calls than those that are believed to: nothing fits.
    assert reason(trace, blocks(bare, long), cost(0, 0, node=100)).startswith(
        "without what the recorder costs a step misses bare blocks by "
    )
    found = prove(with_blocks(trace, blocks(bare, long)), {})
    assert found == AsRecorded("what the recorder 'made-up' costs a call was never measured")


ONE = {"recorded": False, "steps": 4, "host_ns": 4_000}


def table(**more: Any) -> dict[str, Any]:
    """Two recorded blocks between others; `more` is of the first block."""
    rows = [ONE | more, ONE | {"recorded": True}, ONE, ONE | {"recorded": True}, ONE]
    return {"version": 1, "recorder": "made-up", "blocks": rows}


BROKEN = {
    "a text": "blocks",
    "a list": [1, 2],
    "no version": {"blocks": []},
    "another version": table() | {"version": 2},
    "a version without end": table() | {"version": 10**400},
    "a time below zero": table(host_ns=-1),
    "no time at all": table(host_ns=5e-324),
    "a time that is a text": table(host_ns="1"),
    "no number": table(host_ns=float("nan")),
    "a GPU's time that is no number": table(gpu_ns=float("nan")),
    "a moment that is no number": table(at_ns=float("inf")),
    "no steps": table(steps=0),
    "steps in parts": table(steps=1.5),
    "no time": {"version": 1, "blocks": [{"recorded": False, "steps": 4}]},
    "a number for a truth": table(recorded=1),
    "far too long": table(host_ns=1e300),
    "more digits than a float has": table(host_ns=10**400),
    "more steps than there are": table(steps=10**30),
    "none bare": {"version": 1, "blocks": [ONE | {"recorded": True}]},
    "no block": {"version": 1, "blocks": [None, None]},
    "nothing but a reason": {"version": 1, "blocks": None, "reason": "it\nended" * 1_000},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_table_is_no_proof(name: str) -> None:
    found = read_blocks({"bare": BROKEN[name]})
    assert isinstance(found, NoBlocks)
    assert found.reason
    assert "\n" not in found.reason
    assert len(found.reason) < 300


MORE: dict[str, dict[str, Any]] = {
    "what the recorder notes besides": {
        "records": {"kernel": 42, "api": 10**400}, "open_ns": 15_461_865, "close_ns": None,
        "step_ns": [1, "x"],
    },
    "no GPU's time": {"gpu_ns": None},
    "nothing of when": {"at_ns": None},
}  # fmt: skip


@pytest.mark.parametrize("name", MORE)
def test_what_says_nothing_of_the_steps_changes_nothing(name: str) -> None:
    plain = read_blocks({"bare": table()})
    assert isinstance(plain, Blocks)
    assert read_blocks({"bare": table(**MORE[name])}) == plain
    left_out = {"library_version": None, "made_bare": None, "reason": None, "records": [None]}
    assert read_blocks({"bare": table() | left_out}) == plain


names = ["version", "blocks", "recorded", "steps", "host_ns", "gpu_ns", "at_ns", "reason"]
json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner, max_size=5)
    ),
    max_leaves=12,
)
rows = st.fixed_dictionaries(
    {"recorded": st.booleans(), "steps": st.integers(1, 9), "host_ns": st.integers(1, 2**70)},
    optional=dict.fromkeys(("gpu_ns", "at_ns", "records"), json),
)


@given(json | st.fixed_dictionaries({"version": st.just(1), "blocks": st.lists(rows, max_size=9)}))
def test_no_table_stops_an_analysis(table: object) -> None:
    found = read_blocks({"bare": table})
    if isinstance(found, Blocks):
        pairs = pairs_of(found)
        assert np.isfinite([pairs.bare, pairs.recorded, pairs.apart]).all()
        if len(pairs):
            ratio = ratio_of(pairs)
            assert 0 <= ratio.low <= ratio.estimate * (1 + 1e-9)
            assert ratio.high >= ratio.estimate * (1 - 1e-9)


def row(recorded: bool, at: int, ns: float, **more: Any) -> dict[str, Any]:
    return {"recorded": recorded, "at_ns": at, "steps": 2, "host_ns": 2 * ns} | more


def test_each_recorded_block_is_held_against_both_its_neighbours() -> None:
    rows = [
        row(True, 5, 33), row(False, 0, 10), row(True, 1, 22), row(False, 2, 12),
        row(True, 3, 44), row(False, 4, 20), row(True, 6, 55), row(False, 7, 25),
        row(True, 8, 50), row(False, 9, 30), row(True, 10, 60),
    ]  # fmt: skip
    found = read_blocks({"bare": {"version": 1, "blocks": rows}})
    assert isinstance(found, Blocks)
    pairs = pairs_of(found)
    # Two recorded ones after each other, and the last, stand between no two without a recorder.
    assert pairs.bare.tolist() == [11, 16, 27.5]
    assert pairs.recorded.tolist() == [22, 44, 50]
    assert pairs.apart == pytest.approx(np.log([12 / 10, 20 / 12, 30 / 25]))
    assert pairs.shared.tolist() == [False, True, False]
    assert not pairs.other(0).shared.any()
    assert [pairs.other(k).recorded.tolist() for k in (0, 1)] == [[22, 50], [44]]


def test_blocks_without_a_time_stand_as_the_manifest_has_them() -> None:
    rows = [row(k % 2 == 1, k + 5, 10 + k) for k in range(5)]
    for k in (1, 2):
        rows[k]["at_ns"] = None
    found = read_blocks({"bare": {"version": 1, "blocks": rows}})
    assert isinstance(found, Blocks)
    assert [one.host_ns for one in found.blocks] == [20, 22, 24, 26, 28]


def test_steps_go_by_the_gpus_clock_where_the_host_runs_ahead() -> None:
    def clock(*gpu: float | None) -> str:
        rows = [row(k % 2 == 1, k, 10, gpu_ns=ns) for k, ns in enumerate(gpu)]
        found = read_blocks({"bare": {"version": 1, "blocks": rows}})
        assert isinstance(found, Blocks)
        return found.clock

    assert clock(20, 20, 20.1) == "host"
    assert clock(40, 40, 40) == "gpu"
    assert clock(40, None, 40) == "host", "not all of them have the GPU's time"


def _pairs(bare: list[float], recorded: list[float], apart: float = 0.0) -> Pairs:
    n = len(bare)
    return Pairs(np.array(bare), np.array(recorded), np.full(n, apart), np.zeros(n, np.bool_))


def test_alike_pairs_have_the_mean_of_logarithms() -> None:
    found = ratio_of(_pairs([1.0, 2.0, 4.0], [1.1, 2.3, 4.2]))
    assert found.estimate == pytest.approx(math.exp(np.log([1.1, 1.15, 1.05]).mean()))
    assert found.low < found.estimate < found.high
    assert found == ratio_of(_pairs([1.0, 2.0, 4.0], [1.1, 2.3, 4.2])), "drawn anew"
    alone = ratio_of(_pairs([2.0], [3.0]))
    assert (alone.estimate, alone.low, alone.high) == (pytest.approx(1.5), 0.0, math.inf)


def test_priors_are_read_and_lie_between_low_and_high() -> None:
    side = {"node": 800, "inside": {"launch": 1000}, "outside": {"launch": 400}}
    table = {"low": side, "high": side | {"node": 1000}, "machine": "m", "date": "2026-12-01"}
    found = priors_of({"nsys": table})["nsys"]
    assert found.middle.node == 900
    assert found.low.inside.launch == 1000
    assert found.middle.outside.launch == 400


@pytest.mark.parametrize("recorder", [*priors()])
def test_what_comes_with_the_harness_was_measured_somewhere(recorder: str) -> None:
    known = priors()[recorder]
    assert known.machine
    assert known.date
    assert known.library_version
    for name in ("inside", "outside"):
        low, middle, high = (
            np.array([*asdict(getattr(side, name)).values()])
            for side in (known.low, known.middle, known.high)
        )
        assert (low >= 0).all()
        assert (low <= middle).all()
        assert (middle <= high).all()
        assert high[LAUNCH] > 0
    assert 0 <= known.low.node <= known.high.node
    assert 0 <= known.low.node_gap <= known.high.node_gap
    assert 0 <= known.low.range <= known.high.range


def test_a_strangers_manifest_names_no_recorder_by_mistake() -> None:
    trace, _, _ = recording("host_bound")
    source = replace(trace.source, producer=CUPTI, origin="measured")
    for capture, name in (
        (None, "cupti-full"), ("x", "cupti-full"), ({"options": 5}, "cupti-full"),
        ({"options": "no records=light"}, "cupti-full"),
        ({"options": ["graphs=node", "records=light"]}, "cupti-light"),
    ):  # fmt: skip
        manifest = {"capture": capture, "bare": {"recorder": 5}}
        assert recorder_of(replace(trace, source=replace(source, manifest=manifest))) == name
