"""Loops that are hard to replay: empty, cut, spread over devices, or with clocks that cannot be."""

from __future__ import annotations

import math
import tempfile
import tracemalloc
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.analyze import analyze
from harness.analysis.answer.of_gains import replayed_steps
from harness.analysis.gains import ladder as ladder_module
from harness.analysis.gains.ladder import ladder, step_ends
from harness.analysis.gains.machine import NEVER, Timing
from harness.analysis.gains.stretch import FEW_CALLS, MOST_CALLS, MOST_STEPS, chosen_runs
from harness.analysis.model.trace import Trace
from harness.analysis.question import DEFAULT_STEP, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.writer.writer import CopyKind, SyncType, TraceBuilder
from tests.analysis.build import decode_loop
from tests.store.invent import invent

from .support import US, change, ends, loops_of, misses, read_as_asked, reopened, stretches_of
from .test_stored import found_in

TIMING = Timing(latency_ns=8 * US, gap_ns=1 * US, wake_ns=3 * US, queue_depth=10**6)
RECORDED = Path(__file__).parents[2] / "traces" / "h100-pipelined.sqlite"


def builder() -> tuple[TraceBuilder, int]:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for device in (0, 1):
        trace.device(device, name="GPU", uuid=f"u{device}")
    return trace, trace.thread(trace.process(100), 100, "main")


def test_steps_that_launch_nothing_have_no_gains() -> None:
    trace, thread = builder()
    for number in range(20):
        trace.nvtx(number * 100 * US, (number * 100 + 90) * US, f"Step {number}", thread=thread)
        trace.api((number * 100 + 5) * US, (number * 100 + 9) * US, "cudaMalloc", thread=thread)
    assert [one for one in analyze(reopened(trace)).gains if one.ladder] == []


@pytest.mark.parametrize(
    ("steps", "reason"),
    [(1, "is one step"), (2, "are 2 steps"), (3, "steady steps"), (4, "steady steps")],
)
def test_too_few_steps_have_no_ladder_and_a_reason(steps: int, reason: str) -> None:
    for found in analyze(reopened(decode_loop(steps))).gains:
        assert found.ladder is None
        assert reason in found.reason


def test_a_call_that_was_not_recorded_launches_nothing() -> None:
    trace, thread = builder()
    for number in range(12):
        at = number * 100 * US
        trace.nvtx(at, at + 90 * US, f"Step {number}", thread=thread)
        for k in range(5):
            begin = at + 5 * US + 9 * k * US
            trace.launch(begin, begin + 2 * US, begin + 4 * US, begin + 8 * US, thread=thread)
        trace.kernel(
            at + 51 * US, at + 60 * US, name="stray", correlation=90_000 + number,
            process=trace.process(100),
        )  # fmt: skip
    (found,) = analyze(reopened(trace)).gains
    assert found.ladder is not None
    # Of the steady steps, and the one before them.
    assert found.ladder.without_call == found.ladder.steps + 1


def dead_and_missing(*, dead: set[int], missing: set[int]) -> Trace:
    """Steps of 100 us with a kernel of 50; some launch nothing, some numbers are missing."""
    trace, thread = builder()
    numbers = [number for number in range(24) if number not in missing]
    for place, number in enumerate(numbers):
        at = place * 100 * US
        trace.nvtx(at, at + 99 * US, f"Step {number}", thread=thread)
        if number not in dead:
            trace.launch(at + 5 * US, at + 9 * US, at + 13 * US, at + 63 * US, thread=thread)
    return reopened(trace)


def test_steps_without_work_are_played_as_the_time_that_they_take() -> None:
    trace = dead_and_missing(dead={5, 6, 13}, missing=set())
    for loop in loops_of(trace, TIMING):
        assert ends(loop)[0].tolist() == loop.recorded_end.tolist()
        taken = np.diff(step_ends(loop, loop.recorded_end)) // US
        # A dead step takes nothing: the one behind it ends 100 later for each of them.
        assert taken.tolist() == [
            {5: 0, 6: 0, 7: 300, 13: 0, 14: 200}.get(number, 100) for number in range(1, 23)
        ]


def test_a_stretch_that_begins_behind_a_step_without_work() -> None:
    (loop,) = loops_of(dead_and_missing(dead={5}, missing=set()), TIMING, runs=[(6, 9)])
    taken = np.diff(step_ends(loop, loop.recorded_end)) // US
    assert taken.tolist() == [100 + 63, 100, 100]  # from the begin of the dead step on


def test_no_step_is_measured_from_one_without_work() -> None:
    (found,) = analyze(dead_and_missing(dead={5, 6, 13}, missing=set())).gains
    assert found.ladder is not None
    assert found.ladder.recorded_ns == found.ladder.replayed_ns == 100 * US
    assert all(rung.gain_ns < 100 * US for rung in found.ladder.rungs)


def test_numbers_that_are_missing_cut_stretches() -> None:
    (found,) = analyze(dead_and_missing(dead=set(), missing={8, 9, 15})).gains
    assert found.ladder is not None
    assert found.ladder.stretches > 1
    assert found.ladder.steps == found.ladder.of_steps  # cut, and all of them taken
    assert found.ladder.recorded_ns == found.ladder.replayed_ns == 100 * US


def polling(steps: int) -> Trace:
    """A kernel of 99 us a step, asked for every microsecond until it is there."""
    trace, thread = builder()
    for step in range(steps):
        begin = (1000 + 110 * step) * US
        trace.launch(begin, begin + 1 * US, begin + 2 * US, begin + 101 * US, thread=thread)
        for query in range(2, 103):
            trace.api(
                begin + query * US, begin + (query + 1) * US, "cudaEventQuery_v3020",
                thread=thread, return_value=0 if query == 102 else 600,
            )  # fmt: skip
        trace.nvtx(begin, begin + 104 * US, f"Step {step}", thread=thread)
    return reopened(trace)


def test_a_poll_counts_as_one_wait_where_steps_are_chosen() -> None:
    (found,) = analyze(polling(30)).gains
    assert found.ladder is not None
    assert found.ladder.steps == found.ladder.of_steps == 28
    assert "polling" in {rung.call for rung in found.ladder.rungs}


def test_of_many_steps_it_is_said_which_part_was_replayed() -> None:
    (found,) = analyze(polling(200)).gains
    assert found.ladder is not None
    assert (found.ladder.steps, found.ladder.of_steps, found.ladder.stretches) == (40, 198, 4)
    assert replayed_steps(found.ladder) == "40 of 198 steps"


@settings(deadline=None)
@given(st.sets(st.integers(0, 400)), st.floats(0, 80_000))
def test_what_is_replayed_is_bounded_and_spread(steady: set[int], calls: float) -> None:
    runs = chosen_runs(np.array(sorted(steady), np.int64), calls)
    steps = [step for a, b in runs for step in range(a, b)]
    assert len(steps) <= MOST_STEPS
    assert len(steps) * calls <= MOST_CALLS
    assert set(steps) <= steady - {0}
    # Each stretch has the step before it to itself.
    assert all(before[1] <= after[0] - 1 for before, after in pairwise(runs))
    if 3 <= len(steady - {0}) <= MOST_STEPS and calls * len(steady - {0}) <= FEW_CALLS:
        assert set(steps) == steady - {0}
    # Where it may be, something is replayed.
    assert steps or len(steady - {0}) < 3 or 3 * calls > MOST_CALLS


def test_devices_that_share_a_number_of_a_stream() -> None:
    """Each device has a stream 7; the host waits for that of the first, and then for the second."""
    trace, thread = builder()
    for number in range(8):
        at = (10 + number * 600) * US
        trace.nvtx(at, at + 599 * US, f"Step {number}", thread=thread)
        for device, length in ((0, 400), (1, 100)):
            start = at + (device * 105 + 5) * US if device == 0 else at + 20 * US
            trace.launch(
                start, start + 5 * US, start + 8 * US, start + (8 + length) * US, thread=thread,
                device=device,
            )  # fmt: skip
            if device == 1:
                trace.wait(
                    start + 6 * US, start + (8 + length + 3) * US, thread=thread, device=device
                )
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, 8)])
    assert loop.lanes == 2
    assert {loop.lane[wait.targets[0]] for wait in loop.waits} == {1}
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()


def test_a_device_synchronise_does_not_wait_for_another_device() -> None:
    trace, thread = builder()
    for number in range(8):
        at = (10 + number * 600) * US
        trace.nvtx(at, at + 599 * US, f"Step {number}", thread=thread)
        launch(trace, thread, at + 5 * US, 500, device=1, stream=13)
        launch(trace, thread, at + 15 * US, 100, device=0, stream=7)
        trace.wait(
            at + 25 * US, at + 126 * US, thread=thread, device=0,
            api_name="cudaDeviceSynchronize_v3020", sync_type=SyncType.CONTEXT,
        )  # fmt: skip
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, 8)])
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()
    assert [len(wait.targets) for wait in loop.waits] == [1] * 8


def launch(
    trace: TraceBuilder, thread: int, at: int, us: int, *, device: int = 0, **where: int
) -> None:
    trace.launch(
        at, at + 5 * US, at + 8 * US, at + (8 + us) * US, thread=thread, device=device, **where
    )


def test_work_of_the_last_step_on_another_device_is_played() -> None:
    """The second device works behind the first, long after the host began the next step."""
    trace, thread = builder()
    for number in range(8):
        at = (10 + number * 100) * US
        trace.nvtx(at, at + 99 * US, f"Step {number}", thread=thread)
        launch(trace, thread, at + 5 * US, 50)
        correlation = trace.api(at + 15 * US, at + 20 * US, "cudaLaunchKernel", thread=thread)
        trace.kernel(
            at + 2_000 * US, at + 2_050 * US, name="behind", correlation=correlation,
            process=trace.process(100), device=1, stream=13,
        )  # fmt: skip
    for loop in loops_of(reopened(trace), TIMING, runs=[(2, 5)]):
        assert np.bincount(loop.step[loop.action]).tolist() == [2, 2, 2, 2]


def test_steps_that_overlap_on_the_device() -> None:
    """Two streams in turn: the work of a step goes on while that of the next one begins."""
    trace, thread = builder()
    for number in range(12):
        at = (10 + number * 100) * US
        trace.nvtx(at, at + 99 * US, f"Step {number}", thread=thread)
        launch(trace, thread, at + 5 * US, 170, stream=7 + number % 2)
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(3, 11)])
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()
    assert (np.diff(step_ends(loop, loop.recorded_end)) == 100 * US).all()
    # Without time of the host each stream still needs 171 for two steps.
    fast = [one.apply(loop, None) for one in change("host").offers([loop])]  # type: ignore[arg-type]
    found = ends(loop, *fast)[1:]
    assert np.diff(found[0][0::2]).tolist() == [171 * US] * (len(found[0][0::2]) - 1)


def test_streams_of_two_contexts_are_two() -> None:
    """A stream 7 each; as one stream, they would run one after the other."""
    trace, thread = builder()
    for number in range(8):
        at = (10 + number * 300) * US
        trace.nvtx(at, at + 299 * US, f"Step {number}", thread=thread)
        launch(trace, thread, at + 5 * US, 200, context=1)
        launch(trace, thread, at + 10 * US, 200, context=2)
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, 8)])
    assert loop.lanes == 2
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()


def test_calls_inside_calls_take_time_once() -> None:
    trace, thread = builder()
    for number in range(8):
        at = (10 + number * 200) * US
        trace.nvtx(at, at + 199 * US, f"Step {number}", thread=thread)
        # The runtime's launch, the driver's inside, and in that the code that it loads.
        correlation = trace.api(at + 5 * US, at + 105 * US, "cudaLaunchKernel", thread=thread)
        trace.api(at + 6 * US, at + 104 * US, "cuLaunchKernel", thread=thread)
        trace.api(at + 10 * US, at + 90 * US, "cuModuleLoadData", thread=thread)
        trace.kernel(
            at + 120 * US, at + 140 * US, name="k", correlation=correlation,
            process=trace.process(100),
        )  # fmt: skip
    timing = replace(TIMING, latency_ns=115 * US)
    (loop,) = loops_of(reopened(trace), timing, runs=[(1, 8)])
    assert loop.own.tolist() == [2 * US, 18 * US, 80 * US] * 8
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()
    (offer,) = change("module-loading").offers([loop])
    assert offer.spent_ns == 80 * US


def test_a_call_inside_one_that_waited_takes_none() -> None:
    trace, thread = builder()
    for number in range(8):
        at = (10 + number * 400) * US
        trace.nvtx(at, at + 399 * US, f"Step {number}", thread=thread)
        launch(trace, thread, at + 5 * US, 200)
        trace.copy(
            at + 15 * US, at + 217 * US, at + 214 * US, at + 215 * US, bytes=4, thread=thread,
            copy_kind=CopyKind.DTOH,
        )  # fmt: skip
        trace.wait(at + 20 * US, at + 216 * US, thread=thread)
    timing = replace(TIMING, wake_ns=2 * US)
    (loop,) = loops_of(reopened(trace), timing, runs=[(1, 8)])
    assert loop.own[2::3].tolist() == [0] * 8
    assert np.diff(ends(loop)[0][1::2]).tolist() == [400 * US] * 7


def shifted(trace: Trace, ns: int) -> Trace:
    """The same on a clock that began at another time."""
    moved = {
        name: replace(
            getattr(trace, name),
            start=getattr(trace, name).start + ns,
            end=getattr(trace, name).end + ns,
        )
        for name in ("operations", "calls", "ranges", "synchronizations", "overheads", "holds")
    }
    return replace(trace, **moved)


@pytest.mark.parametrize("ns", [-(10**15), -60_000_000, 10**17])
def test_gains_do_not_depend_on_when_the_clock_began(ns: int) -> None:
    trace = open_trace(RECORDED)
    early = ladder(read_as_asked(trace), "")
    assert ladder(read_as_asked(shifted(trace, ns)), "") == early


def test_work_that_still_runs_is_known_before_the_clock_began() -> None:
    """The loop runs ahead of the device: its stretch begins while work of earlier steps runs."""
    trace = reopened(decode_loop(sync="never"))
    (early,) = stretches_of(trace, runs=[(5, 9)])
    (late,) = stretches_of(shifted(trace, -(10**12)), runs=[(5, 9)])
    assert [until > early.begin for _, _, until in early.running] == [True]
    assert late.running == tuple((d, s, until - 10**12) for d, s, until in early.running)


def test_work_that_begins_before_its_launch_is_played_behind_it() -> None:
    """The clock of the device is 20 us behind: what cannot be is no fault of the device."""
    trace, thread = builder()
    for number in range(8):
        at = (50 + number * 200) * US
        trace.nvtx(at, at + 199 * US, f"Step {number}", thread=thread)
        trace.launch(at + 25 * US, at + 30 * US, at + 5 * US, at + 105 * US, thread=thread)
        trace.wait(at + 31 * US, at + 128 * US, thread=thread)
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, 8)])
    assert loop.late.max() == 0
    assert abs(misses(loop)) < 0.05


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 10**6), pattern=st.sampled_from([DEFAULT_STEP, StepPattern.glob("*")]))
def test_no_trace_wins_more_than_it_takes(seed: int, pattern: StepPattern) -> None:
    """Of traces with equal times, calls that overlap, and operations that no call launched."""
    with tempfile.TemporaryDirectory() as folder:
        trace = open_trace(invent(seed, Path(folder) / "t.sqlite", size=120))
        found = found_in(trace, pattern, None, seed)
    for _, one in [] if isinstance(found, str) else found:
        if one is None:
            continue
        assert math.isfinite(one.error_ns)  # type: ignore[attr-defined]
        for rung in one.rungs:  # type: ignore[attr-defined]
            assert 0 < rung.gain_ns <= one.replayed_ns  # type: ignore[attr-defined]
            assert rung.step_ns >= 0
            assert rung.spent_ns >= 0
            assert rung.idle_ns >= 0
            assert rung.count > 0


def test_memory_does_not_grow_with_the_number_of_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    trace, thread = builder()
    at = 10
    for number in range(10):
        begin = at
        for k in range(2_000):
            trace.nvtx(at * US, (at + 9) * US, f"layer {chr(65 + k % 12)}", thread=thread)
            trace.launch(
                (at + 1) * US, (at + 5) * US, (at + 9) * US, (at + 17) * US, thread=thread,
                name=f"k{k % 5}",
            )  # fmt: skip
            at += 10
        trace.nvtx(begin * US, at * US, f"Step {number}", thread=thread)
        at += 1
    loops = loops_of(reopened(trace), TIMING, runs=[(1, 10)])
    size = loops[0].actions * 8

    def peak(batch_bytes: int) -> int:
        monkeypatch.setattr(ladder_module, "BATCH_BYTES", batch_bytes)
        tracemalloc.start()
        try:
            assert len(ladder(loops, "").rungs) > 1
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    # One variant at a time, and all of them: of each a handful of arrays is alive at once.
    assert peak(1) < 40 * size
    assert peak(10**9) > 2 * peak(1)


def test_a_stream_without_earlier_work_needs_no_gap() -> None:
    (loop,) = loops_of(dead_and_missing(dead=set(), missing=set()), TIMING, runs=[(1, 5)])
    assert loop.running.tolist() == [NEVER]
