"""Recordings of real loops come out of the replay again."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.gains.ladder import step_ends
from harness.analysis.question import DEFAULT_STEP, Question, StepPattern
from harness.analysis.readers.open import open_trace

from .support import ends, misses, read_as_asked

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
MARKED = (
    *(ROOT / "traces" / f"{name}.sqlite" for name in (
        "example-sync", "example-pipelined", "h100-kv-cache", "h100-pipelined", "h100-cuda-graph",
        "h100-cuda-graph-deferred",
    )),
    *(TESTS / "sim" / "data" / f"h100-{name}-b16.json.gz" for name in (
        "static-cache", "cuda-graph",
    )),
    *(TESTS / "kineto" / "data" / f"h100_{name}.json.gz" for name in (
        "decode_sync", "decode_deferred", "decode_graph", "decode_nocache", "decode_side", "train",
    )),
    *(TESTS / "kineto" / "flags" / f"{name}.json.gz" for name in ("spins", "works")),
)  # fmt: skip
OTHERS = (("power_iteration", "Step *"),)
"""Of other people: name, and what marks the steps."""
PLANTED = sorted((TESTS / "planted" / "data").glob("*.gz"))
"""Training loops with and without a fault, by two recorders."""


def assert_missed_by_less_than_a_hundredth(path: Path, pattern: StepPattern) -> None:
    trace = open_trace(path)
    loops = read_as_asked(trace, (pattern,))
    assert loops
    for loop in loops:
        recorded = np.diff(step_ends(loop, loop.recorded_end))
        replayed = np.diff(step_ends(loop, ends(loop)[0]))
        assert replayed.mean() == pytest.approx(recorded.mean(), rel=0.01)
        # Nor do steps that come too early make up for others.
        assert np.abs(replayed - recorded).mean() < 0.03 * recorded.mean()
    found = [one.ladder for one in analyze(trace, Question((pattern,))).gains if one.ladder]
    assert found
    for ladder in found:
        assert ladder.replayed_ns == pytest.approx(ladder.recorded_ns, rel=0.01)
        assert ladder.error_ns < 0.01 * ladder.recorded_ns


@pytest.mark.parametrize("path", MARKED, ids=lambda path: path.name)
def test_a_replay_misses_the_recorded_step_by_less_than_a_hundredth(path: Path) -> None:
    by_torch = path.name == "h100_train.json.gz"  # torch.profiler's own steps
    assert_missed_by_less_than_a_hundredth(
        path, StepPattern.glob("ProfilerStep#*") if by_torch else DEFAULT_STEP
    )


@pytest.mark.parametrize("path", PLANTED, ids=lambda path: path.name)
def test_so_does_that_of_loops_with_a_planted_fault(path: Path, tmp_path: Path) -> None:
    if path.name.endswith(".sqlite.gz"):
        path = _unpacked(path, tmp_path)
    loops = read_as_asked(open_trace(path), (StepPattern.glob("*tep *"),))
    assert loops
    for loop in loops:
        assert abs(misses(loop)) < 0.01
        # Autograd's thread takes turns with the one that runs the steps.
        assert loop.clocks == (2 if path.name.startswith("two-threads-fault") else 1)


def _unpacked(path: Path, folder: Path) -> Path:
    found = folder / path.stem
    found.write_bytes(gzip.decompress(path.read_bytes()))
    return found


def test_there_are_planted_loops_of_both_recorders() -> None:
    assert {path.name.split(".", 1)[1] for path in PLANTED} == {"json.gz", "sqlite.gz"}


@pytest.mark.parametrize(("name", "pattern"), OTHERS)
def test_so_does_that_of_other_peoples_loops(public_traces: Path, name: str, pattern: str) -> None:
    path = public_traces / f"{name}.sqlite"
    assert_missed_by_less_than_a_hundredth(path, StepPattern.glob(pattern))
