"""Proposed as steps are the user's ranges, never operators, however many there are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.proposals import common_ranges
from harness.analysis.model.trace import Strings
from harness.analysis.model.verdict import Verdict
from harness.analysis.question import DEFAULT_STEP, Question

from .kineto_json import Event, event, kineto_2_11, launch

US = 1000


def loop(annotation: str | None, *, framework: tuple[str, ...] = ()) -> list[Event]:
    """14 steps of 100 us, with seven operators each on the autograd thread."""
    made: list[Event] = []
    for k in range(14):
        at = k * 100 * US
        if annotation:
            made.append(event("user_annotation", annotation, at, at + 99 * US, 100, 100))
        made += [
            event("user_annotation", name, at + 80 * US, at + 90 * US, 100, 100)
            for name in framework
        ]
        for j in range(7):
            name = "autograd::engine::evaluate_function: AddmmBackward0" if j < 3 else "aten::relu"
            made.append(event("cpu_op", name, at + j * 5 * US, at + (j * 5 + 2) * US, 100, 200))
        call, gpu = (at + 10 * US, at + 15 * US), (at + 20 * US, at + 80 * US)
        made += launch("gemm", call, gpu, k + 1)
    return made


def said(folder: Path, events: list[Event]) -> Verdict:
    path = folder / "t.json"
    path.write_bytes(kineto_2_11(events))
    question = Question(patterns=(DEFAULT_STEP,))  # else `train_step` is taken
    return next(v for v in analyze(path, question).verdicts if v.code == "device-only")


def test_operators_are_not_proposed(tmp_path: Path) -> None:
    verdict = said(tmp_path, loop("train_step"))
    assert verdict.remedy == "choose one with --step; most common here: 'train_step' (14)"


def test_what_pytorch_marks_itself_comes_after_the_users_own(tmp_path: Path) -> None:
    twice = ("Optimizer.step#SGD.step", "Optimizer.zero_grad#SGD.zero_grad")
    verdict = said(tmp_path, loop("train_step", framework=twice * 2))
    assert verdict.remedy == (
        "choose one with --step; most common here: 'train_step' (14), 'Optimizer.step#SGD.step' "
        "(28), 'Optimizer.zero_grad#SGD.zero_grad' (28)"
    )


def test_where_there_are_operators_alone_the_user_is_told_how_to_mark_steps(
    tmp_path: Path,
) -> None:
    verdict = said(tmp_path, loop(None))
    assert verdict.reason == (
        "the trace holds no annotated ranges but those of operators and libraries"
    )
    assert "prof.step()" in verdict.remedy
    assert "record_function" in verdict.remedy
    assert "nvtx" not in verdict.remedy


@pytest.mark.parametrize(
    ("name", "own"),
    [
        ("train_step", True),
        ("Checkpoint::save", True),
        ("Compute & Residual 7", True),
        ("torchrun step", True),
        ("ncclient", True),
        ("aten::linear", False),
        ("_C::rotary_embedding", False),
        ("_C_cache_ops::reshape_and_cache", False),
        ("cub::DeviceReduce::Sum", False),
        ("ncclAllReduce", False),
        ("nccl:all_reduce", False),
        ("MPI_Send", False),
        ("detach_, op_id = 7", False),
        ("linear, seq = 3", False),
    ],
)
def test_whose_a_range_is(name: str, own: bool) -> None:
    assert bool(common_ranges(np.array([1]), Strings({1: name}))) == own
