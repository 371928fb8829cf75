"""Verdicts at their thresholds, rows at their edges, other people's definitions at theirs."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.question import Question
from harness.analysis.writer.writer import TraceBuilder

from .build import builder, decode_loop, report, verdict

# Verdicts at their thresholds


@pytest.mark.parametrize(
    ("lost", "level"), [(0, None), (9, "degraded"), (10, "invalid"), (11, "invalid")]
)
def test_missing_rows_from_one_percent(tmp_path: Path, lost: int, level: str | None) -> None:
    trace, thread = builder()
    for k in range(1000):
        if k < lost:
            trace.api(k * 100, k * 100 + 10, "cudaLaunchKernel_v7000", thread=thread)
        else:
            trace.launch(k * 100, k * 100 + 10, k * 100 + 20, k * 100 + 90, thread=thread)
    assert verdict(report(trace, tmp_path), "launches-without-gpu-rows") == level


@pytest.mark.parametrize(("spent", "level"), [(49, None), (50, "degraded")])
def test_overhead_from_five_percent(tmp_path: Path, spent: int, level: str | None) -> None:
    trace, thread = builder()
    trace.launch(0, 1, 10, 510, thread=thread)
    trace.launch(2, 3, 600, 1010, thread=thread)
    trace.overhead(520, 520 + spent, "CUPTI Buffer flush", thread=thread)
    assert verdict(report(trace, tmp_path), "profiler-overhead") == level


@pytest.mark.parametrize(
    ("orphan", "level"), [(50, None), (51, "degraded"), (900, "degraded"), (901, "invalid")]
)
def test_unknown_launches_from_five_and_ninety_percent(
    tmp_path: Path, orphan: int, level: str | None
) -> None:
    """1000 ns of idle time, `orphan` of them before an operation that nobody launched."""
    trace, thread = builder()
    trace.launch(0, 1, 10, 20, thread=thread)
    trace.kernel(20 + orphan, 30 + orphan, name="k", correlation=999, process=thread & ~0xFFFFFF)
    trace.launch(2, 3, 1030, 1040, thread=thread)
    assert verdict(report(trace, tmp_path), "launches-unknown") == level


@pytest.mark.parametrize(
    ("skewed", "by", "level"),
    # Of 100 gaps of 40 ns: 5% of their idle time is 2 ns a gap.
    [(0, 5, None), (1, 5, None), (2, 1, "degraded"), (2, 2, "invalid"), (2, 5, "invalid")],
)
def test_skew_from_one_gap_in_a_hundred(
    tmp_path: Path, skewed: int, by: int, level: str | None
) -> None:
    trace, thread = builder()
    for k in range(101):
        late = 20 + by if k < skewed + 1 and k else 0  # the first operation ends no gap
        at = k * 100
        trace.launch(at + late, at + late + 5, at + 20, at + 80, thread=thread)
    found = report(trace, tmp_path)
    assert len(found.gaps[0]) == 100
    assert found.attributions[0].skewed == skewed
    assert verdict(found, "clock-skew") == level


def test_an_operation_that_starts_with_its_launch_is_not_skewed(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 1, 10, 20, thread=thread)
    trace.launch(40, 45, 40, 60, thread=thread)
    found = report(trace, tmp_path)
    assert found.attributions[0].skewed == 0
    assert found.devices[0].causes["host"] == 20


def test_duplicate_api_rows_are_one_launch(tmp_path: Path) -> None:
    """Each of 50 launches has a second row; one of the pairs left no operation."""
    trace, thread = builder()
    for k in range(50):
        at = k * 100
        call = trace.api(at, at + 10, "cudaLaunchKernel_v7000", thread=thread)
        trace.api(at + 2, at + 8, "cuLaunchKernel", thread=thread, correlation=call, event_class=1)
        if k != 20:
            trace.kernel(at + 20, at + 90, name="k", correlation=call, process=thread & ~0xFFFFFF)
    found = report(trace, tmp_path)
    assert found.trace.duplicate_calls == 50
    reason = next(v.reason for v in found.verdicts if v.code == "launches-without-gpu-rows")
    assert reason.startswith("1 of 50 launches")


def test_a_capture_that_never_ends_is_its_own_threads(tmp_path: Path) -> None:
    trace, thread = builder()
    earlier = trace.thread(thread & ~0xFFFFFF, 50, "earlier")
    trace.api(0, 5, "cudaStreamBeginCapture_v10000", thread=earlier)
    for k in range(1, 4):
        at = k * 100
        trace.api(at, at + 10, "cudaLaunchKernel_v7000", thread=thread)
    trace.launch(500, 510, 520, 590, thread=thread)
    assert verdict(report(trace, tmp_path), "launches-without-gpu-rows") == "invalid"


@pytest.mark.parametrize(("steps", "level"), [(11, "degraded"), (12, None)])
def test_ten_steady_steps_are_enough(tmp_path: Path, steps: int, level: str | None) -> None:
    assert verdict(report(decode_loop(steps), tmp_path), "few-steps") == level


# Reading


def test_a_call_that_ends_before_it_starts_holds_nothing(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
    thread = trace.thread(trace.process(100), 100)
    trace.launch(0, 1, 10, 20, thread=thread)
    trace.launch(50, 40, 60, 70, thread=thread)
    (device,) = report(trace, tmp_path).devices
    assert {k: v for k, v in device.causes.items() if v} == {"host": 30, "queue": 10}


def test_a_range_whose_closing_thread_is_0_closed_on_its_own(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.allow_invalid = True
    trace.nvtx(0, 100, "Step 0", thread=thread, end_thread=0)
    trace.launch(10, 11, 20, 30, thread=thread)
    found = report(trace, tmp_path)
    assert found.steps.series[0].step_of.tolist() == [0]
    assert found.steps.series[0].by_time == 0


def test_an_unclosed_range_lasts_as_long_as_any_other(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(0, None, "Step 0", thread=thread)
    trace.nvtx(5, 900, "later than any call or operation", thread=thread)
    trace.launch(10, 11, 20, 30, thread=thread)
    assert report(trace, tmp_path).steps.series[0].end.tolist() == [900]


# Other people's definitions


def others(trace: TraceBuilder, folder: Path) -> dict[str, tuple[int, int]]:
    found = report(trace, folder)
    (device,) = range(len(found.devices))
    rows = found.details(device, Question(definitions=True)).definitions
    return {d.name: (d.idle_ns, d.gaps) for d in rows}


def test_over_1_ms_is_strictly_longer(tmp_path: Path) -> None:
    trace, thread = builder()
    at = 10
    for gap in (1_000_000, 1_000_001, 5):
        trace.launch(0, 1, at, at + 10, thread=thread)
        at += 10 + gap
    trace.launch(0, 1, at, at + 10, thread=thread)
    found = others(trace, tmp_path)
    assert found["over-1-ms"] == (1_000_001, 1)
    assert found["harness"] == (2_000_006, 3)


def test_streams_of_two_processes_are_not_one(tmp_path: Path) -> None:
    trace, first = builder()
    trace.device(name="Test GPU", uuid="00000000-0000-0000-0000-000000000001", pid=200)
    second = trace.thread(trace.process(200), 200)
    for k in range(3):
        trace.launch(0, 1, k * 20 + 10, k * 20 + 20, thread=first)
        trace.launch(0, 1, k * 20 + 20, k * 20 + 30, thread=second)
    found = others(trace, tmp_path)
    assert (found["harness"], found["per-stream"]) == ((0, 0), (40, 4))


def test_nvidias_rule_drops_starts_of_0_and_flushes_of_their_own_process(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.device(name="Test GPU", uuid="00000000-0000-0000-0000-000000000001", pid=200)
    other = trace.thread(trace.process(200), 200)
    for start, end in ((0, 10), (30, 40), (100, 110)):
        trace.launch(0, 1, start, end, thread=thread)
    trace.launch(0, 1, 200, 210, thread=other)
    trace.launch(0, 1, 300, 310, thread=other)
    trace.overhead(50, 60, "CUDA profiling data flush overhead", thread=thread)
    trace.overhead(220, 240, "CUDA profiling data flush overhead", thread=thread)
    assert others(trace, tmp_path)["nsys-gpu-gaps"] == (10 + 40 + 90, 3)
