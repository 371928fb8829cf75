"""What an analysis says of loops with one planted fault each, which were recorded without it too.

What removing the fault wins is known: `corpus.json` holds the steps of both, measured beside the
recording. README.md says how.
"""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.answer.compose import Answer, answer_of
from harness.analysis.question import Question, StepPattern
from harness.analysis.report import TraceReport

from .kinds import KINDS, NOT_OF_THE_HOST, PLACES

HERE = Path(__file__).resolve().parent
CORPUS: dict[str, Any] = json.loads((HERE / "corpus.json").read_text())
LOOPS: list[dict[str, Any]] = CORPUS["loops"]
FAULTY = [loop for loop in LOOPS if "fault" in loop]
STEPS = Question(patterns=(StepPattern.glob("train_step *"),))


def named(loop: dict[str, Any]) -> str:
    return f"{loop['loop']}-{loop['recorder']}"


every_clean = pytest.mark.parametrize("loop", LOOPS, ids=named)
every_fault = pytest.mark.parametrize("loop", FAULTY, ids=named)
RECORDINGS = [
    (loop, variant) for loop in LOOPS for variant in ("fault", "clean") if variant in loop
]
every_recording = pytest.mark.parametrize(
    ("loop", "variant"),
    RECORDINGS,
    ids=[f"{named(loop)}-{variant}" for loop, variant in RECORDINGS],
)


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the recordings, as an analysis reads them: torch.profiler's stay gzipped."""
    folder = tmp_path_factory.mktemp("planted")
    for packed in (HERE / "data").glob("*.gz"):
        data = packed.read_bytes()
        if packed.suffixes[-2:] == [".sqlite", ".gz"]:
            (folder / packed.stem).write_bytes(gzip.decompress(data))
        else:
            (folder / packed.name).write_bytes(data)
    return folder


def report(folder: Path, loop: dict[str, Any], variant: str) -> TraceReport:
    """The analysis of one recording."""
    name = Path(loop[variant]["file"]).name
    return analyze(folder / name.replace(".sqlite.gz", ".sqlite"), STEPS)


@every_recording
def test_steps_are_those_that_were_timed(
    unpacked: Path, loop: dict[str, Any], variant: str
) -> None:
    found = report(unpacked, loop, variant)
    measured = loop[variant]
    (series,) = found.series
    assert len(series.table) == measured["steps"]
    assert series.steady is not None
    assert series.steady.period_ns / 1000 == pytest.approx(
        measured["recorded"]["mean_us"], rel=0.25
    )


def answered(folder: Path, loop: dict[str, Any], variant: str) -> tuple[Answer, float]:
    """The answer, and the recorded step in us."""
    found = report(folder, loop, variant)
    steady = found.series[0].steady
    assert steady is not None
    return answer_of(found), steady.period_ns / 1000


@every_fault
def test_the_answer_is_the_planted_fault(unpacked: Path, loop: dict[str, Any]) -> None:
    answer, _ = answered(unpacked, loop, "fault")
    wanted = KINDS[loop["kind"]]
    assert answer.kind == wanted[-1 if loop["recorder"] == "torch" else 0]
    name = loop["loop"].removesuffix("-workers")
    place = PLACES[loop["recorder"]].get(name, loop["range"])
    if place and answer.kind not in ("eager-launches", "stalled-step"):
        assert place in answer.text


@every_fault
def test_the_predicted_step_is_the_clean_one(unpacked: Path, loop: dict[str, Any]) -> None:
    answer, step = answered(unpacked, loop, "fault")
    assert answer.rung is not None
    clean, gain = loop["clean"]["recorded"]["mean_us"], answer.rung.gain_ns / 1000
    assert step - gain == pytest.approx(clean, rel=0.10)
    assert gain >= 0.7 * (step - clean)


@every_clean
def test_no_fault_is_invented_in_a_clean_loop(unpacked: Path, loop: dict[str, Any]) -> None:
    answer, _ = answered(unpacked, loop, "clean")
    assert answer.kind in NOT_OF_THE_HOST


@every_fault
def test_clean_loop_is_faster_in_both_ways_of_measuring(loop: dict[str, Any]) -> None:
    for block in ("bare", "recorded"):
        assert loop["clean"][block]["mean_us"] < loop["fault"][block]["mean_us"]


def test_corpus_is_small() -> None:
    sizes = {path.name: path.stat().st_size for path in (HERE / "data").iterdir()}
    assert max(sizes.values()) <= 400_000
    assert sum(sizes.values()) <= 10_000_000
