"""A loop that a recorder made longer comes back to what it was, whatever bounds it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.bare.take_out import bare_trace
from harness.analysis.gains.machine import Timing
from harness.analysis.gains.work import COPY, TO_HOST, Work
from harness.analysis.predict.program import Action, Hold, Launch, Plain, Program, Spend, Sync
from tests.gains.programs import programs, recorded, timings

from .support import TIMING, US, cost, costly, loop, step_ns
from .test_take_out_laws import grown

STREAM, SIDE = (0, 7), (0, 13)


def launches(first: int, count: int, kernel_us: float, host_us: float, number: int) -> list[Action]:
    """So many launches, each with some Python before it."""
    work = Work("gemm", int(kernel_us * US))
    found: list[Action] = []
    for k in range(count):
        found.append(Spend(int(host_us * US), number))
        found.append(Launch("cudaLaunchKernel", 3 * US, (work,), STREAM, first + k, number))
    return found


def read(first: int, number: int) -> list[Action]:
    """`.item()`."""
    work = Work("copy", 2 * US, COPY, TO_HOST, 8, True)
    return [Launch("cudaMemcpyAsync", 4 * US, (work,), STREAM, first, number)]


def host_bound(number: int, first: int) -> list[Action]:
    return launches(first, 20, 2, 6, number)


def gpu_bound(number: int, first: int) -> list[Action]:
    return launches(first, 20, 40, 2, number)


def item(number: int, first: int) -> list[Action]:
    """Host-bound up to a read, which drains the GPU."""
    return [*launches(first, 20, 3, 5, number), *read(first + 20, number)]


def item_of_a_busy_gpu(number: int, first: int) -> list[Action]:
    """The host is ahead, and waits."""
    return [*launches(first, 20, 30, 2, number), *read(first + 20, number)]


def mixed(number: int, first: int) -> list[Action]:
    """Long kernels that the host gets ahead of, then short ones that it does not."""
    return [
        *launches(first, 6, 40, 2, number),
        *launches(first + 6, 20, 2, 7, number),
        *read(first + 26, number),
    ]


def deferred(number: int, first: int) -> list[Action]:
    """An event behind each step's work, waited for a step later."""
    own = launches(first, 15, 8, 5, number)
    own.append(Plain("cudaEventRecord", 1 * US, number))
    if number:
        only = frozenset({STREAM})
        own.append(Sync("cudaEventSynchronize", 2 * US, first - 1, only, "event", number))
    return own


def graph(number: int, first: int) -> list[Action]:
    works = tuple(Work(f"k{k}", 4 * US) for k in range(25))
    launched = Launch("cudaGraphLaunch", 8 * US, works, STREAM, first, number, 7)
    return [Spend(20 * US, number), launched, *read(first + 25, number)]


def two_streams(number: int, first: int) -> list[Action]:
    """Work on a side stream that the main one waits for, and a wait for the stream."""
    side = Launch("cudaLaunchKernel", 3 * US, (Work("side", 90 * US),), SIDE, first, number)
    return [
        side,
        Plain("cudaEventRecord", 1 * US, number),
        *launches(first + 1, 8, 4, 5, number),
        Hold("cudaStreamWaitEvent", 1 * US, STREAM, first, number),
        *launches(first + 9, 4, 4, 5, number),
        Sync("cudaStreamSynchronize", 3 * US, first + 12, frozenset({STREAM}), "stream", number),
    ]


LOOPS = {
    one.__name__: one
    for one in (
        host_bound, gpu_bound, item, item_of_a_busy_gpu, mixed, deferred, graph, two_streams,
    )
}  # fmt: skip


@pytest.mark.parametrize("name", LOOPS)
@pytest.mark.parametrize(("inside", "outside"), [(2_000, 0), (0, 2_500), (3_000, 1_500)])
def test_a_recorded_loop_comes_back(name: str, inside: int, outside: int) -> None:
    program = loop(LOOPS[name])
    bare = recorded(program, TIMING)
    long = recorded(costly(program, inside, outside), TIMING)
    found = bare_trace(long, cost(inside, outside))
    assert step_ns(found) == pytest.approx(step_ns(bare), rel=0.005)
    last = bare.operations.end.max() - bare.operations.start.min()
    assert found.operations.end.max() - found.operations.start.min() == pytest.approx(
        last, rel=0.005
    )


def test_a_loop_that_the_host_bounds_shrinks_by_every_call() -> None:
    program = loop(host_bound)
    long = recorded(costly(program, 2_000, 1_000), TIMING)
    found = bare_trace(long, cost(2_000, 1_000))
    assert step_ns(long) - step_ns(found) == 20 * 3_000
    assert step_ns(found) == step_ns(recorded(program, TIMING))
    gpu = [np.diff(one.operations.start[::20])[1:] for one in (long, found)]
    assert (gpu[0] - gpu[1] == 20 * 3_000).all()


def test_a_loop_that_the_gpu_bounds_stays() -> None:
    long = recorded(costly(loop(gpu_bound), 1_000, 500), TIMING)
    found = bare_trace(long, cost(1_000, 500))
    gpu = [np.diff(one.operations.start[20::20]) for one in (long, found)]
    assert np.array_equal(*gpu)


def test_nodes_of_a_graph_cost_their_launch() -> None:
    program = loop(graph)
    long = recorded(costly(program, 1_000, 0, node=900), TIMING)
    found = bare_trace(long, cost(1_000, 0, node=900))
    assert step_ns(found) == pytest.approx(step_ns(recorded(program, TIMING)), rel=0.01)
    launch = found.calls.named({"cudaGraphLaunch"})
    assert ((found.calls.end - found.calls.start)[launch] == 8 * US).all()


def test_pauses_between_nodes_are_taken_out() -> None:
    program = loop(graph)
    slow = recorded(program, Timing(**_fields(node_gap_ns=1_600)))
    found = bare_trace(slow, cost(0, 0, node_gap=900))
    assert step_ns(found) == pytest.approx(step_ns(recorded(program, TIMING)), rel=0.001)


def _fields(**more: int) -> dict[str, int]:
    return {name: getattr(TIMING, name) for name in TIMING.__struct_fields__} | more


@settings(deadline=None, max_examples=60)
@given(
    programs(kinds=("spend", "launch", "graph", "stream", "device", "read")),
    timings(),
    st.integers(0, 4_000),
    st.integers(0, 4_000),
)
def test_any_recorded_loop_comes_back(
    program: Program, timing: Timing, inside: int, outside: int
) -> None:
    """Random loops, to what the constants of their device amount to."""
    program = grown(program, 1_000)
    timing = Timing(**{name: 100 * getattr(timing, name) for name in timing.__struct_fields__})
    bare = recorded(program, timing)
    long = recorded(costly(program, inside, outside), timing)
    found = bare_trace(long, cost(inside, outside))
    span = [one.operations.end.max() - one.operations.start.min() for one in (bare, found)]
    assert abs(span[1] - span[0]) <= 0.05 * span[0]
