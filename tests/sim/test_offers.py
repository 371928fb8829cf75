"""Which predictions are offered, and how far they may be off; loops of other tools and makers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.commands.predict import command
from harness.simgpu.from_trace import Asked, predict_from
from tests.analysis.test_flag_waits import KERNELS, flag_loop
from tests.analysis.test_polls import polling_loop
from tests.kineto.kineto_json import US, profiled_loop

SYNC = str(Path(__file__).parents[2] / "traces" / "example-sync.sqlite")


def predicted(path: Path | str, *options: str) -> dict[str, Any]:
    result = CliRunner().invoke(command, ["--from", str(path), "--format", "json", *options])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def steps_us(found: dict[str, Any]) -> dict[str, float]:
    return {row["scenario"]: row["step_ns"] / US for row in found["scenarios"]}


def kineto(folder: Path, wait: str, api: str = "cudaLaunchKernel", wait_us: int = 70) -> Path:
    """14 steps of 100 us: launched at 10, a kernel [20, 80), a wait from 15 on."""
    path = folder / "t.json"
    path.write_bytes(profiled_loop([("cuda_runtime", wait, 15, wait_us)], api))
    return path


def test_the_profilers_own_steps_are_the_steps(tmp_path: Path) -> None:
    path = kineto(tmp_path, "cudaStreamSynchronize")
    own = predicted(path)
    assert steps_us(own)["replay"] == 100
    assert own["scenarios"] == predicted(path, "--step", "ProfilerStep#*")["scenarios"]


@pytest.mark.parametrize(
    ("api", "wait"),
    [
        ("cudaLaunchKernel", "cudaStreamSynchronize"), ("hipLaunchKernel", "hipStreamSynchronize"),
        ("hipLaunchKernel", "hipEventSynchronize"), ("urEnqueueKernelLaunch", "urQueueFinish"),
    ],
)  # fmt: skip
def test_every_accelerators_waits_can_be_hidden(tmp_path: Path, api: str, wait: str) -> None:
    found = steps_us(predicted(kineto(tmp_path, wait, api)))
    # The host needs 100 - 70 and the calls that hiding adds; the kernel 60 and what follows it.
    assert found["replay"] == 100
    assert 60 < found["hide sync"] < 63


def test_a_poll_is_replayed_as_the_wait_that_it_is(tmp_path: Path) -> None:
    for name, loop in (
        ("poll", polling_loop(100)), ("wait", polling_loop(0, "cudaEventSynchronize_v3020")),
    ):  # fmt: skip
        loop.write(tmp_path / f"{name}.sqlite")
    poll, wait = (steps_us(predicted(tmp_path / f"{n}.sqlite")) for n in ("poll", "wait"))
    assert poll == wait
    assert poll["replay"] == 750
    assert 500 < poll["hide sync"] < 503


def test_a_wait_for_a_flag_is_replayed_as_the_wait_that_it_is(tmp_path: Path) -> None:
    flag_loop().write(tmp_path / "flag.sqlite")
    found = predicted(tmp_path / "flag.sqlite")
    steps = steps_us(found)
    # A step is the kernel and the copy, 26 before them, 2 to 4 of reaction, and 200 of work.
    assert steps["replay"] == pytest.approx(
        sum(KERNELS) / len(KERNELS) + 2 + 25 + 3 + 200, rel=0.01
    )
    # The host needs its launches and its own work, 230 a step; the GPU needs the kernel.
    assert 420 < steps["hide sync"] < 450


def test_steps_found_by_repetition_are_replayed() -> None:
    marked, found = predicted(SYNC), predicted(SYNC, "--infer-steps")
    assert steps_us(found) == pytest.approx(steps_us(marked), rel=0.01)


def test_steps_opened_on_one_thread_and_closed_on_another(tmp_path: Path) -> None:
    from tests.analysis.build import builder

    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "other")
    for step in range(14):
        at = 100 * step * US
        trace.nvtx(
            at, at + 99 * US, f"Step {step}", thread=thread, end_thread=other, start_end=True
        )
        trace.launch(at + 10 * US, at + 15 * US, at + 20 * US, at + 80 * US, thread=thread)
        trace.wait(at + 15 * US, at + 85 * US, thread=thread)
    trace.write(tmp_path / "t.sqlite")
    found = steps_us(predicted(tmp_path / "t.sqlite"))
    assert found["replay"] == 100
    assert 60 < found["hide sync"] < 63


def test_what_wins_nothing_is_not_offered(tmp_path: Path) -> None:
    """One launch a step, and nothing that waits: there is nothing to graph, and nothing to hide."""
    path = kineto(tmp_path, "cudaEventRecord", wait_us=1)
    found = predicted(path)
    assert list(steps_us(found)) == ["–", "replay"]
    assert found["not_offered"] == ["hide sync", "no sync", "graph", "graph+hide"]
    result = CliRunner().invoke(command, ["--from", str(path)])
    assert "hide sync, no sync, graph and graph+hide are not shown" in " ".join(
        result.stdout.split()
    )


@pytest.mark.parametrize("name", ["h100-cuda-graph", "h100-kv-cache", "h100-cuda-graph-deferred"])
def test_no_offer_is_smaller_than_what_the_replay_may_be_off(name: str) -> None:
    path = Path(__file__).parents[2] / "traces" / f"{name}.sqlite"
    found = predicted(path)
    error = found["replay_error_ns"]
    measured, replay, *offers = found["scenarios"]
    assert measured["step_error_ns"] is None
    assert error >= abs(replay["step_ns"] - measured["step_ns"]) - 0.1
    assert error > 0
    for row in offers:
        assert row["step_error_ns"] >= error - 0.1
        assert replay["step_ns"] - row["step_ns"] > row["step_error_ns"]


def test_another_gpu_is_told_of_even_where_it_is_slower() -> None:
    outcome = predict_from(Asked(SYNC, gpus=("l40s",), traced_gpu="h200"))
    (table,) = outcome.tables
    names = [column.name for column in table.columns]
    slower = [
        row[names.index("saved_share")] for row in table.rows
        if row[names.index("scenario")] == "as recorded"
    ]  # fmt: skip
    assert len(slower) == 2
    assert min(slower) < 0  # by its memory; its float32 arithmetic is the faster one
