"""Which manifests prove a bare timeline, and what the proof says."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.bare.blocks import NoBlocks, pairs_of, read_blocks
from harness.analysis.bare.costs import Costs
from harness.analysis.bare.prior import Prior, priors, priors_of
from harness.analysis.bare.proof import Proved, fitted_factor, prove, ratio_of
from harness.analysis.bare.result import AsRecorded
from harness.analysis.bare.step import steady_step
from harness.analysis.bare.take_out import read_recorded
from harness.analysis.model.trace import Trace
from tests.gains.programs import recorded

from .support import TIMING, cost, costly, loop
from .test_comes_back import LOOPS

WIGGLE = (1.0, 1.004, 0.998, 1.001, 0.997, 1.003, 1.002, 0.999)


def blocks(bare_ns: float, recorded_ns: float, pairs: int = 8, **more: Any) -> dict[str, Any]:
    """Pairs of blocks of 4 steps, on a host that drifts by far more than the recorder costs."""
    rows = []
    for k in range(pairs):
        drift = 1 + 0.2 * k
        for is_recorded, ns in ((False, bare_ns), (True, recorded_ns * WIGGLE[k % 8])):
            rows.append(
                {
                    "recorded": is_recorded,
                    "at_ns": len(rows) * 1_000_000,
                    "steps_ns": [ns * drift * one for one in (0.99, 1.0, 1.01, 1.0)],
                    "clock": "host",
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
    assert (proof.blocks, proof.steps, proof.made_bare) == (8, 32, "finalised")
    again = steady_step(found.trace)
    assert again is not None
    assert again.ns == proof.step_ns
    if name in ("host_bound", "item"):
        assert proof.factor == pytest.approx(2, abs=0.1)


def test_of_a_loop_that_the_gpu_bounds_the_prior_is_believed() -> None:
    trace, bare, long = recording("gpu_bound", 200, 100)
    assert bare == pytest.approx(long, rel=0.001)
    found = prove(with_blocks(trace, blocks(bare, long)), known(cost(200, 100)))
    assert isinstance(found, Proved)
    assert found.bare.factor == 1.0


def test_the_factor_is_that_which_was_put_in() -> None:
    trace, bare, _ = recording("host_bound", 2_400, 1_200)
    step = steady_step(trace)
    assert step is not None
    source = read_recorded(trace)
    assert fitted_factor(source, step, cost(2_000, 1_000), bare) == pytest.approx(1.2, abs=0.01)
    assert fitted_factor(source, step, cost(2_000, 1_000), 0.0) == 4.0
    assert fitted_factor(source, step, cost(2_000, 1_000), math.inf) == 0.0
    assert fitted_factor(source, step, Costs(), bare) == 1.0


def reason(trace: Trace, table: object, costs: Costs | None = None) -> str:
    found = prove(with_blocks(trace, table), known(cost(1_000, 500) if costs is None else costs))
    assert isinstance(found, AsRecorded)
    return found.reason


def test_where_there_is_no_proof_it_says_why() -> None:
    trace, bare, long = recording("host_bound")
    assert prove(trace) == AsRecorded("no steps without the recorder were measured beside it")
    why = "the program ended with its window"
    assert reason(trace, blocks(1, 1, 0, reason=why)) == f"no bare blocks: {why}"
    assert reason(trace, blocks(bare, long, 3)) == (
        "3 bare blocks beside a recorded one are too few to fit and to test"
    )
    wild = blocks(bare, long)
    for k, one in enumerate(wild["blocks"]):
        one["steps_ns"] = [ns * (1 + 0.2 * (k % 4 == 0)) for ns in one["steps_ns"]]
    assert reason(trace, wild).startswith("pairs of bare and recorded blocks differ")
    # As if the recorder cost other calls than those that are believed to: nothing fits.
    assert reason(trace, blocks(bare, long), cost(0, 0, node=100)).startswith(
        "without what the recorder costs a step misses bare blocks by "
    )
    found = prove(with_blocks(trace, blocks(bare, long)), {})
    assert found == AsRecorded("what the recorder 'made-up' costs a call was never measured")


BROKEN = {
    "a text": "blocks",
    "a list": [1, 2],
    "no version": {"blocks": []},
    "another version": {"version": 2},
    "a step below zero": {"version": 1, "blocks": [{"recorded": False, "steps_ns": [-1]}]},
    "a step that is a text": {"version": 1, "blocks": [{"recorded": True, "steps_ns": ["1"]}]},
    "no number": {"version": 1, "blocks": [{"recorded": True, "steps_ns": [float("nan")]}]},
    "no steps": {"version": 1, "blocks": [{"recorded": False, "steps_ns": []}]},
    "another clock": {"version": 1, "blocks": [{"recorded": False, "steps_ns": [1], "clock": "x"}]},
    "a number for a truth": {"version": 1, "blocks": [{"recorded": 1, "steps_ns": [1]}]},
    "far too long": {"version": 1, "blocks": [{"recorded": False, "steps_ns": [1e300]}]},
    "none bare": {"version": 1, "blocks": [{"recorded": True, "steps_ns": [1]}]},
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_table_is_no_proof(name: str) -> None:
    found = read_blocks({"bare": BROKEN[name]})
    assert isinstance(found, NoBlocks)
    assert found.reason
    assert "\n" not in found.reason


json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["version", "blocks", "recorded", "steps_ns", "clock", "at_ns", "reason"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=12,
)


@given(json)
def test_no_table_stops_an_analysis(table: object) -> None:
    found = read_blocks({"bare": table})
    assert isinstance(found, NoBlocks) or all(one.steps_ns for one in found.blocks)


def _row(recorded: bool, at: int, ns: float, clock: str = "host") -> dict[str, Any]:
    return {"recorded": recorded, "at_ns": at, "steps_ns": [ns], "clock": clock}


def test_each_bare_block_is_held_against_the_recorded_one_beside_it() -> None:
    rows = [
        _row(True, 5, 22), _row(False, 0, 10), _row(True, 1, 11), _row(True, 2, 21),
        _row(False, 3, 20), _row(False, 4, 21.5), _row(False, 7, 1), _row(True, 8, 2, "gpu"),
    ]  # fmt: skip
    found = read_blocks({"bare": {"version": 1, "blocks": rows}})
    assert not isinstance(found, NoBlocks)
    bare, recorded = pairs_of(found)
    # The last bare one has a neighbour of another clock, and of its own a used one.
    assert list(zip(bare.tolist(), recorded.tolist(), strict=True))[:3] == [
        (10, 11), (20, 21), (21.5, 22),
    ]  # fmt: skip


def test_few_pairs_have_students_interval_and_many_the_bootstraps() -> None:
    few = ratio_of(np.array([1.0, 2.0, 4.0]), np.array([1.1, 2.3, 4.2]))
    assert few.low < few.estimate < few.high
    logs = np.log([1.1, 1.15, 1.05])
    assert few.estimate == pytest.approx(math.exp(logs.mean()))
    reach = 4.3027 * logs.std(ddof=1) / math.sqrt(3)
    assert few.high == pytest.approx(math.exp(logs.mean() + reach), rel=1e-4)
    many = ratio_of(np.full(8, 2.0), np.linspace(2.1, 2.4, 8))
    assert many.method == "bootstrap of pairs"
    assert ratio_of(np.array([2.0]), np.array([3.0])).high == math.inf


def test_priors_are_read_and_there_are_none_yet_that_nobody_measured() -> None:
    side = {"node": 800, "inside": {"launch": 1000}, "outside": {"launch": 400}}
    table = {"low": side, "high": side | {"node": 1000}, "machine": "m", "date": "2026-12-01"}
    found = priors_of({"nsys": table})["nsys"]
    assert found.middle.node == 900
    assert found.low.inside.launch == 1000
    assert found.middle.outside.launch == 400
    assert all(one.machine and one.date for one in priors().values())
