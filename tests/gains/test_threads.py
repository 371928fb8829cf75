"""Threads that launch at the same time are hosts of their own; those that take turns are one."""

from __future__ import annotations

import numpy as np

from harness.analysis.gains.batch import Variant
from harness.analysis.gains.changes import Costs
from harness.analysis.gains.changes.host_time import without
from harness.analysis.gains.changes.one_graph import graphed, graphs_of
from harness.analysis.gains.loop import Loop
from harness.analysis.gains.machine import Timing
from harness.analysis.writer.writer import TraceBuilder

from .support import US, change, ends, loops_of, reopened

TIMING = Timing(latency_ns=8 * US, gap_ns=1 * US, wake_ns=3 * US, queue_depth=10**6)
COSTS = Costs(1 * US, 2 * US, 20 * US, 100, "a test")
STEPS = 8
PERIOD = 1_000
"""Of a step, us."""


def builder() -> tuple[TraceBuilder, int, int]:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    trace.device(name="GPU", uuid="u")
    process = trace.process(100)
    return trace, trace.thread(process, 100, "main"), trace.thread(process, 101, "other")


def two_at_once() -> Loop:
    """The main thread launches 300 us of work and waits for it, then computes until its step of
    1,000 us is over. The other launches 20 us every 100 us meanwhile, on its own stream, and
    computes between in a range of its own."""
    trace, main, other = builder()
    for number in range(STEPS):
        at = 10 + PERIOD * number
        trace.nvtx(at * US, (at + PERIOD) * US, f"Step {number}", thread=main)
        launched(trace, main, at + 100, 300, stream=7)
        trace.wait((at + 105) * US, (at + 411) * US, thread=main)
        for k in range(10):
            launched(trace, other, at + 50 + 100 * k, 20, stream=13, own=10)
            trace.nvtx((at + 60 + 100 * k) * US, (at + 150 + 100 * k) * US, "worker", thread=other)
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, STEPS)])
    return loop


def launched(
    trace: TraceBuilder, thread: int, at: int, us: int, *, stream: int, own: int = 5
) -> None:
    trace.launch(
        at * US, (at + own) * US, (at + 8) * US, (at + 8 + us) * US, thread=thread, stream=stream
    )


def of_main(loop: Loop) -> np.ndarray:
    """Which operations the main thread launched."""
    return loop.clock[loop.action] == loop.clock[np.flatnonzero(loop.launching())[1]]


def test_two_threads_that_launch_at_once_have_two_clocks() -> None:
    loop = two_at_once()
    assert loop.clocks == 2
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()
    assert of_main(loop).sum() == STEPS


def test_what_one_thread_does_is_no_matter_of_the_other() -> None:
    loop = two_at_once()
    main, begin = of_main(loop), loop.stretch.begin
    recorded, less, idle = ends(
        loop,
        without(loop, COSTS, sites=frozenset(("Step *",))),
        without(loop, COSTS, sites=frozenset(("worker",))),
    )
    # The main thread's launch takes 5, its kernel begins at 8 and takes 300; 3 later it goes on.
    assert less[main].tolist() == [begin + (311 * k + 308) * US for k in range(STEPS)]
    # The other has 50 before its first launch; in no range of its own, it is where the main one is.
    assert less[~main].tolist() == (recorded[~main] - 50 * US).tolist()
    # Without what it does between launches, its kernels follow each other.
    assert idle[main].tolist() == recorded[main].tolist()
    assert idle[~main].tolist() == [begin + (50 + 28 + 21 * k) * US for k in range(10 * STEPS)]


def test_a_wait_of_one_thread_ends_no_graph_of_the_other() -> None:
    loop = two_at_once()
    main = of_main(loop)
    # Ten launches a step of the other thread; one of the main thread is no graph.
    assert [len(loop.count[run].nonzero()[0]) for run in graphs_of(loop)] == [10] * STEPS
    recorded, graph = ends(loop, graphed(loop, COSTS))
    assert graph[main].tolist() == recorded[main].tolist()
    (offer,) = change("graph").offers([loop])
    assert offer.count == 10


def in_turn(overlap: int = 0) -> Loop:
    """A forward pass by one thread and a backward pass by another, as autograd's; `overlap`: how
    many us the passes of a step overlap."""
    trace, main, other = builder()
    for number in range(STEPS):
        at = 10 + PERIOD * number
        trace.nvtx(at * US, (at + PERIOD - 1) * US, f"Step {number}", thread=main)
        for k in range(10):
            launched(trace, main, at + 10 + 40 * k, 30, stream=7)
        for k in range(10):
            launched(trace, other, at + 410 - overlap + 40 * k, 30, stream=7)
        trace.wait((at + 820) * US, (at + 830) * US, thread=main)
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, STEPS)])
    return loop


def test_threads_that_take_turns_have_one_clock() -> None:
    loop = in_turn()
    assert loop.clocks == 1
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()
    # A host that takes no time: all launches of a step follow each other.
    less = ends(loop, without(loop, COSTS, sites=frozenset(("Step *", ""))))[1]
    assert np.diff(less).max() <= (10 + 8 + 30) * US


def test_threads_that_overlap_often_have_not() -> None:
    assert in_turn(overlap=38).clocks == 2


def test_a_third_thread_leaves_those_that_take_turns_on_one_clock() -> None:
    trace, main, other = builder()
    third = trace.thread(main & ~0xFFFFFF, 102, "third")
    for number in range(STEPS):
        at = 10 + PERIOD * number
        trace.nvtx(at * US, (at + PERIOD - 1) * US, f"Step {number}", thread=main)
        for k in range(10):
            launched(trace, main, at + 10 + 40 * k, 30, stream=7)
            launched(trace, other, at + 410 + 40 * k, 30, stream=7)
        for k in range(20):
            launched(trace, third, at + 12 + 40 * k, 30, stream=13)
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, STEPS)])
    assert loop.clocks == 2
    calls = loop.stretch.trace.calls
    thread = calls.thread[np.argsort(calls.start, kind="stable")]
    clock_of = {int(t): set(loop.clock[thread == t].tolist()) for t in np.unique(thread)}
    assert [clock_of[k] for k in sorted(clock_of)] == [{0}, {0}, {1}]


def test_a_thread_that_runs_the_steps_and_launches_nothing_waits_all_the_same() -> None:
    trace, main, other = builder()
    for number in range(STEPS):
        at = 10 + PERIOD * number
        trace.nvtx(at * US, (at + PERIOD - 1) * US, f"Step {number}", thread=main)
        launched(trace, other, at + 50, 300, stream=7)
        trace.wait(
            (at + 100) * US, (at + 361) * US, thread=main, api_name="cudaDeviceSynchronize_v3020"
        )
    (loop,) = loops_of(reopened(trace), TIMING, runs=[(1, STEPS)])
    assert len(loop.waits) == STEPS
    assert all(wait.targets for wait in loop.waits)
    assert replays_as_recorded(loop)


def replays_as_recorded(loop: Loop) -> bool:
    found: bool = ends(loop, Variant.of(loop))[1].tolist() == loop.recorded_end.tolist()
    return found
