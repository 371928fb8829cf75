"""Which ranges are the steps of one loop, and whose the work of other threads is."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from harness.analysis.question import Question, StepPattern
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, report, verdict
from .test_steady_state import said, same_in_parts


def step_work(trace: TraceBuilder, at: int, *threads: int, device: int = 0) -> None:
    """Of a step of 1,000 us at `at`: two kernels, 300 us idle; by one thread or two."""
    first, second = threads[0], threads[-1]
    for thread, call, start, end in ((first, 10, 20, 320), (second, 20, 420, 820)):
        trace.launch(
            (at + call) * US, (at + call + 5) * US, (at + start) * US, (at + end) * US,
            thread=thread, device=device,
        )  # fmt: skip


def ranges(
    trace: TraceBuilder, thread: int, unclosed: frozenset[int], *, start_end: bool, steps: int = 20
) -> None:
    for k in range(steps):
        at = 1000 * (k + 1)
        end = None if k in unclosed else (at + 990) * US
        trace.nvtx(at * US, end, f"Step {k}", thread=thread, start_end=start_end)


def gpus(count: int) -> tuple[TraceBuilder, int]:
    trace, thread = builder()
    for k in range(1, count):
        trace.device(k, name="Test GPU", uuid=f"00000000-0000-0000-0000-00000000000{k + 1}")
    return trace, thread


def figures(found: TraceReport) -> list[tuple[int, float, float]]:
    """(steps, period, idle) of each series, us."""
    return [
        (one.steady.steps, one.steady.period_ns / US, one.steady.idle_ns / US)
        for one in found.series
        if one.steady
    ]


@pytest.mark.parametrize("start_end", [False, True])
@pytest.mark.parametrize(
    ("unclosed", "steps", "steady"),
    [
        # The period of the step before an open one holds that one's work.
        (frozenset({0}), 19, 17),
        (frozenset({8}), 19, 16),
        (frozenset(k for k in range(20) if k % 5 < 3), 8, 3),
    ],
)
def test_ranges_that_never_close_swallow_no_others(
    tmp_path: Path, start_end: bool, unclosed: frozenset[int], steps: int, steady: int
) -> None:
    trace, thread = builder()
    ranges(trace, thread, unclosed, start_end=start_end)
    for k in range(20):
        step_work(trace, 1000 * (k + 1), thread)
    found = report(trace, tmp_path)
    assert [len(one.table) for one in found.series] == [steps]
    assert figures(found) == [(steady, 1000, 300)]
    assert found.series[0].never_closed == tuple(sorted(unclosed))
    assert f"{len(unclosed)} step range" in said(found, "unclosed-steps")
    assert found.host[0].unclosed == len(unclosed)
    assert found.host[0].period.max_ns == 1000 * US
    assert verdict(found, "steps-missing") is None  # they were there
    same_in_parts(trace, tmp_path)


def test_unclosed_ranges_without_numbers_leave_a_hole_all_the_same(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(20):
        at = 1000 * (k + 1)
        trace.nvtx(at * US, None if k == 8 else (at + 990) * US, "step", thread=thread)
        step_work(trace, at, thread)
    found = report(trace, tmp_path, Question(patterns=(StepPattern.glob("step"),)))
    assert figures(found) == [(16, 1000, 300)]


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("pool", [2, 4])
def test_a_pool_of_threads_runs_one_loop(tmp_path: Path, pool: int, named: bool) -> None:
    trace, first = builder()
    threads = [first, *(trace.thread(first & ~0xFFFFFF, 100 + k, f"t{k}") for k in range(1, pool))]
    random = Random(1)
    for k in range(40):
        at, thread = 1000 * (k + 1), random.choice(threads) if pool > 2 else threads[k % 2]
        name = f"Step {k}" if named else "step"
        trace.nvtx(at * US, (at + 990) * US, name, thread=thread)
        step_work(trace, at, thread)
    question = Question() if named else Question(patterns=(StepPattern.glob("step"),))
    found = report(trace, tmp_path, question)
    assert figures(found) == [(38, 1000, 300)]
    (one,) = found.series
    assert len(one.turns) == pool
    assert one.steady.host_ns == 1000 * US
    assert one.idle_per_step.p50_ns == 300 * US
    assert one.other_threads == {}
    same_in_parts(trace, tmp_path, question)


def test_waits_of_every_thread_of_a_pool_count(tmp_path: Path) -> None:
    trace, first = builder()
    second = trace.thread(first & ~0xFFFFFF, 101, "other")
    for k in range(20):
        at, thread = 1000 * (k + 1), (first, second)[k % 2]
        trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=thread)
        step_work(trace, at, thread)
        trace.wait((at + 30) * US, (at + 830) * US, thread=thread)
    (one,) = report(trace, tmp_path).series
    assert one.steady.host_ns == 200 * US
    same_in_parts(trace, tmp_path)


def test_threads_that_work_at_the_same_time_are_loops_of_their_own(tmp_path: Path) -> None:
    trace, first = builder()
    second = trace.thread(first & ~0xFFFFFF, 101, "other")
    for k in range(20):
        for n, thread in enumerate((first, second)):
            at = 1000 * (k + 1) + 100 * n
            trace.nvtx(at * US, (at + 990) * US, f"Step {2 * k + n}", thread=thread)
            step_work(trace, at, thread)
    assert [len(one.table) for one in report(trace, tmp_path).series] == [20, 20]


def test_loops_that_follow_each_other_are_not_one(tmp_path: Path) -> None:
    """Training on one thread, then evaluation on another: both count from 0."""
    trace, first = builder()
    second = trace.thread(first & ~0xFFFFFF, 101, "other")
    for n, thread in enumerate((first, second)):
        for k in range(20):
            at = 1000 * (k + 1) + 50_000 * n
            trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=thread)
            step_work(trace, at, thread)
    assert [len(one.table) for one in report(trace, tmp_path).series] == [20, 20]


def test_short_ranges_that_miss_each_other_by_chance_are_not_one_loop(tmp_path: Path) -> None:
    trace, first = builder()
    second = trace.thread(first & ~0xFFFFFF, 101, "other")
    for k in range(20):
        for n, thread in enumerate((first, second)):
            at = 1000 * (k + 1) + 300 * n
            trace.nvtx(at * US, (at + 20) * US, "step", thread=thread)
            step_work(trace, at, thread)
    question = Question(patterns=(StepPattern.glob("step"),))
    assert [len(one.table) for one in report(trace, tmp_path, question).series] == [20, 20]


def test_a_step_thread_for_each_gpu_with_its_autograd_thread(tmp_path: Path) -> None:
    trace, main = gpus(2)
    process = main & ~0xFFFFFF
    for device in range(2):
        forward = trace.thread(process, 1001 + 10 * device, f"forward {device}")
        backward = trace.thread(process, 1002 + 10 * device, f"backward {device}")
        for k in range(20):
            at = 1000 * (k + 1) + 100 * device
            trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=forward)
            step_work(trace, at, forward, backward, device=device)
    found = report(trace, tmp_path)
    assert figures(found) == [(18, 1000, 300)] * 2
    assert [one.idle_per_step.p50_ns for one in found.series] == [300 * US] * 2
    assert [one.by_time for one in found.series] == [20, 20]
    assert found.steps.ambiguous == found.steps.unassigned == 0
    assert found.verdicts == ()
    same_in_parts(trace, tmp_path)


def test_several_autograd_threads_of_one_step_thread_go_by_time(tmp_path: Path) -> None:
    trace, main = gpus(2)
    process = main & ~0xFFFFFF
    autograd = [trace.thread(process, 200 + device, f"autograd {device}") for device in range(2)]
    for k in range(20):
        at = 1000 * (k + 1)
        trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=main)
        for device in range(2):
            step_work(trace, at + device, main, autograd[device], device=device)
    found = report(trace, tmp_path)
    assert figures(found) == [(18, 1000, 300)] * 2
    assert found.steps.ambiguous == found.steps.unassigned == 0


def test_threads_that_launch_on_both_gpus_are_not_told_apart_by_them(tmp_path: Path) -> None:
    trace, main = gpus(2)
    process = main & ~0xFFFFFF
    helper = trace.thread(process, 300, "helper")
    for n in range(2):
        thread = trace.thread(process, 200 + n, f"loop {n}")
        for k in range(20):
            at = 1000 * (k + 1)
            trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=thread)
            for device in range(2):
                step_work(trace, at + device, thread, device=device)
    trace.launch(5_100 * US, 5_101 * US, 5_900 * US, 5_910 * US, thread=helper)
    found = report(trace, tmp_path)
    assert found.steps.ambiguous == 1
