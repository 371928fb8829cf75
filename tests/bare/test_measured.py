"""Recordings of a real GPU with bare blocks beside them: the proof holds, and what it proves fits
what else is known of the same loops."""

from __future__ import annotations

import copy
import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec.structs import replace

from harness.analysis.analyze import analyze
from harness.analysis.answer.compose import answer_of
from harness.analysis.bare.blocks import Blocks, pairs_of, read_blocks
from harness.analysis.bare.proof import WITHIN, Proved, fitted_factor, prove
from harness.analysis.bare.ratio import ratio_of
from harness.analysis.bare.result import AsRecorded
from harness.analysis.bare.step import steady_step
from harness.analysis.bare.take_out import read_recorded
from harness.analysis.model.trace import Trace
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.open import open_trace

from .test_recordings import streams_keep_their_order

DATA = Path(__file__).parent / "data"
NAMES = ("cuda_graph_deferred", "pipelined", "delay_host", "item_fault")
TRAINING = Question(patterns=(StepPattern.glob("train_step *"),))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("measured")
    for name in NAMES:
        packed = (DATA / f"{name}.sqlite.gz").read_bytes()
        (made / f"{name}.sqlite").write_bytes(gzip.decompress(packed))
        shutil.copy(DATA / f"{name}.json", made)
    return made


def opened(folder: Path, name: str) -> tuple[Trace, Blocks]:
    trace = open_trace(folder / f"{name}.sqlite")
    blocks = read_blocks(trace.source.manifest)
    assert isinstance(blocks, Blocks)
    return trace, blocks


@pytest.mark.parametrize("name", NAMES)
def test_what_blocks_measured_beside_it_is_what_is_left(folder: Path, name: str) -> None:
    trace, blocks = opened(folder, name)
    found = prove(trace)
    assert isinstance(found, Proved), found
    low, high = found.bare.measured_interval_ns
    assert abs(found.bare.error) <= WITHIN
    assert low * (1 - WITHIN) <= found.bare.step_ns <= high * (1 + WITHIN)
    assert found.bare.step_ns <= found.bare.recorded_ns
    # No recorder makes work longer, nor does taking it out.
    bare, work = found.trace.operations, trace.operations
    assert (bare.end - bare.start).sum() == (work.end - work.start).sum()
    streams_keep_their_order(trace, found.trace)
    assert (found.times.operations() <= work.start).all()
    assert len(pairs_of(blocks)) >= 12


@pytest.mark.parametrize("name", ["cuda_graph_deferred", "pipelined"])
def test_either_half_of_the_blocks_says_what_the_other_does(folder: Path, name: str) -> None:
    """Whichever half fits the factor, the other finds the step that results."""
    trace, blocks = opened(folder, name)
    known = prove(trace)
    assert isinstance(known, Proved)
    source, step = read_recorded(trace, with_ranges=True), steady_step(trace)
    assert step is not None
    costs = known.bare.costs.scaled(1 / known.bare.factor)
    halves = [ratio_of(pairs_of(blocks).other(k)) for k in (0, 1)]
    for fitted, held_out in (halves, halves[::-1]):
        factor = fitted_factor(source, step, costs, fitted)
        assert 0.5 < factor < 2, "what recorders are known to cost holds on this host"
        (times,) = source.without([costs.scaled(factor)])
        after = steady_step(times.trace())
        assert after is not None
        assert after.ns / (step.ns / held_out.estimate) - 1 == pytest.approx(0, abs=WITHIN)


@pytest.mark.parametrize("name", ["cuda_graph_deferred", "pipelined", "delay_host"])
def test_blocks_that_say_another_thing_prove_nothing(folder: Path, name: str) -> None:
    """As if the recorder made steps shorter, or ten times as long."""
    trace, _ = opened(folder, name)

    def with_times(recorded: float, bare: float) -> object:
        manifest: dict[str, Any] = copy.deepcopy(dict(trace.source.manifest))
        for row in manifest["bare"]["blocks"]:
            for clock in ("host_ns", "gpu_ns"):
                row[clock] *= recorded if row["recorded"] else bare
        return prove(replace(trace, source=replace(trace.source, manifest=manifest)))

    assert isinstance(with_times(1, 1), Proved)
    for recorded, bare in ((1, 1.3), (10, 1)):
        found = with_times(recorded, bare)
        assert isinstance(found, AsRecorded)
        assert found.reason.startswith("without what the recorder costs a step misses bare blocks")


def test_python_that_was_put_in_stays_where_it_was(folder: Path) -> None:
    """500 us of it before each step, while the GPU has nothing to do."""
    report = analyze(folder / "delay_host.sqlite")
    assert report.bare is not None
    trace = report.trace
    ids = [key for key, text in trace.strings.values.items() if text == "Injected Delay"]
    ranges = np.isin(trace.ranges.name, ids)
    lengths = (trace.ranges.end - trace.ranges.start)[ranges] / 1_000
    assert np.median(lengths) == pytest.approx(500, abs=5)
    steady = report.series[0].steady
    assert steady is not None
    assert steady.causes["host"] > 500_000
    recorded = analyze(folder / "delay_host.sqlite", Question(as_recorded=True)).series[0].steady
    assert recorded is not None
    assert steady.busy_ns == pytest.approx(recorded.busy_ns, rel=0.001)
    # What is less of the step is less of idle time, and most of that was the host's.
    gone = recorded.period_ns - steady.period_ns
    assert recorded.idle_ns - steady.idle_ns == pytest.approx(gone, rel=0.05)
    assert recorded.causes["host"] - steady.causes["host"] > gone / 2


def test_the_fault_is_the_answer_and_its_prediction_what_was_measured(folder: Path) -> None:
    report = analyze(folder / "item_fault.sqlite", TRAINING)
    assert report.bare is not None
    answer, steady = answer_of(report), report.series[0].steady
    assert answer.kind == "device-value-read"
    assert answer.rung is not None
    assert steady is not None
    assert (steady.period_ns - answer.rung.gain_ns) / 1_000 == pytest.approx(7_037, rel=0.02)


def test_data_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in DATA.iterdir()}
    assert max(sizes.values()) <= 200_000
    assert sum(sizes.values()) <= 500_000


def test_manifests_hold_nothing_of_the_machine(folder: Path) -> None:
    for name in NAMES:
        manifest = json.loads((folder / f"{name}.json").read_text())
        assert not {"argv", "git", "left_out"} & set(manifest), name
