"""Each change alone, in a loop drawn by hand whose gain is known to the nanosecond.

Times in us. `Drawn` writes a loop as a recorder would see it; the costs of the machine are given,
so that nothing is estimated.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from harness.analysis.gains.batch import replay
from harness.analysis.gains.changes import Costs, Offer
from harness.analysis.gains.ladder import step_ends
from harness.analysis.gains.loop import Loop
from harness.analysis.gains.machine import Timing
from harness.analysis.writer.writer import PAGEABLE, PINNED, CopyKind, SyncType, TraceBuilder

from .support import US, change, ends, loops_of, reopened

TIMING = Timing(
    latency_ns=8 * US, gap_ns=1 * US, event_ns=2 * US, wake_ns=3 * US, node_gap_ns=1 * US,
    queue_depth=10**6,
)  # fmt: skip
COSTS = Costs(1 * US, 2 * US, 20 * US, 100, "a test")
STEPS = 8


class Drawn:
    """Host and streams of one loop: what is called takes its time, work runs when it can."""

    def __init__(self) -> None:
        self.trace = TraceBuilder(producer="builder", origin="synthetic")
        self.trace.device(name="GPU", uuid="u")
        self.process = self.trace.process(100)
        self.thread = self.trace.thread(self.process, 100, "main")
        self.now = 1_000
        self.free: dict[int, int] = {}
        self.held: dict[int, int] = {}

    def python(self, us: int, name: str = "") -> None:
        """The host computes, in a range if it has a name."""
        start = self.now
        self.now += us
        if name:
            self.trace.nvtx(start * US, self.now * US, name, thread=self.thread)

    def call(self, us: int, name: str) -> int:
        start = self.now
        self.now += us
        return self.trace.api(start * US, self.now * US, name, thread=self.thread)

    def query(self, us: int, *, done: bool) -> None:
        start, self.now = self.now, self.now + us
        self.trace.api(
            start * US, self.now * US, "cudaEventQuery_v3020", thread=self.thread,
            return_value=0 if done else 600,
        )  # fmt: skip

    def run(self, us: int, stream: int, ready: int, gap: int = 1) -> tuple[int, int]:
        start = ready
        if stream in self.free:
            start = max(start, self.free[stream] + gap)
        start = max(start, self.held.get(stream, 0))
        self.free[stream] = start + us
        return start, start + us

    def launch(
        self, us: int, *, own: int = 5, stream: int = 7, late: int = 0, name: str = "k"
    ) -> int:
        """A kernel that starts `late` after it could; when it ends."""
        begin = self.now
        correlation = self.call(own, "cudaLaunchKernel_v7000")
        start, end = self.run(us, stream, begin + 8)
        if late:
            start, end = start + late, end + late
            self.free[stream] = end
        self.trace.kernel(
            start * US, end * US, name=name, correlation=correlation, process=self.process,
            stream=stream,
        )  # fmt: skip
        return end

    def graph(self, us: tuple[int, ...], *, gap: int = 1) -> int:
        """A graph of so many kernels, `gap` apart; when it ends."""
        begin, end = self.now, 0
        correlation = self.call(5, "cudaGraphLaunch_v10000")
        for k, one in enumerate(us):
            start, end = self.run(one, 7, begin + 8, gap if k else 1)
            self.trace.kernel(
                start * US, end * US, name=f"node{k}", correlation=correlation,
                process=self.process, graph_node=(1 << 32) + k + 1, graph_id=1,
            )  # fmt: skip
        return end

    def copy(
        self, us: int, kind: CopyKind, memory: int, *, holds: bool, stream: int = 7, own: int = 5
    ) -> int:
        """A copy from or to the host, which may hold its call until it is over; when it ends."""
        begin = self.now
        start, end = self.run(us, stream, begin + 8)
        self.now = end + 3 if holds else begin + own
        ends = (
            {"dst_kind": memory} if kind == CopyKind.DTOH else {"src_kind": memory, "dst_kind": 2}
        )
        self.trace.copy(
            begin * US, self.now * US, start * US, end * US, bytes=64, thread=self.thread,
            copy_kind=kind, stream=stream, **ends,
        )  # fmt: skip
        return end

    def wait(self, *, own: int = 4, stream: int = 7) -> None:
        """For all that was queued on the stream."""
        begin = self.now
        until = self.free.get(stream, 0)
        self.now = max(begin + own, until + 3 if until > begin else 0)
        self.trace.wait(begin * US, self.now * US, thread=self.thread, stream=stream)

    def stream_wait(self, *, stream: int, other: int) -> None:
        """`stream` goes on once `other` has done what was queued on it."""
        self.call(1, "cudaEventRecord_v3020")
        begin = self.now
        self.now += 1
        self.held[stream] = self.free[other] + 2
        self.trace.wait(
            begin * US, self.now * US, thread=self.thread, stream=stream,
            api_name="cudaStreamWaitEvent_v3020", sync_type=SyncType.STREAM_WAIT_EVENT,
        )  # fmt: skip


def drawn(step: Callable[[Drawn], None]) -> Loop:
    """`STEPS` such steps, the first of which is not counted."""
    loop = Drawn()
    for number in range(STEPS):
        start = loop.now
        loop.now += 1
        step(loop)
        loop.trace.nvtx(start * US, loop.now * US, f"Step {number}", thread=loop.thread)
    (found,) = loops_of(reopened(loop.trace), TIMING, runs=[(1, STEPS)])
    # What the changes begin with is the recorded loop.
    assert ends(found)[0].tolist() == found.recorded_end.tolist()
    return found


def offer(loop: Loop, name: str, where: str | None = None) -> Offer:
    """The change's one offer, or that for one place."""
    (found,) = (one for one in change(name).offers([loop]) if where is None or one.where == where)
    return found


def step_us(loop: Loop, one: Offer | None = None) -> list[float]:
    """How long each step takes, as it is or with a change."""
    found = replay(loop, [one.apply(loop, COSTS)])[0] if one else loop.recorded_end
    return (np.diff(step_ends(loop, found)) / US).tolist()


def every(us: float) -> list[float]:
    return [us] * (STEPS - 1)


def test_host_time_in_a_range() -> None:
    def step(loop: Drawn) -> None:
        loop.python(300, "load")
        loop.launch(50)
        loop.wait()
        loop.python(20, "log 7")

    loop = drawn(step)
    # A step: 1, the range, 8 to the kernel, 50, 3 to wake up, the other range.
    assert step_us(loop) == every(1 + 300 + 8 + 50 + 3 + 20)
    found = offer(loop, "host", "load")
    assert (found.spent_ns, found.most_ns) == (300 * US, 300 * US)
    assert step_us(loop, found) == every(82)
    assert step_us(loop, offer(loop, "host", "log *")) == every(362)


def test_host_time_that_the_gpu_hides_wins_nothing() -> None:
    def step(loop: Drawn) -> None:
        loop.python(30, "load")
        loop.launch(100)

    loop = drawn(step)
    assert step_us(loop)[1:] == every(101)[1:]
    assert step_us(loop, offer(loop, "host", "load"))[1:] == every(101)[1:]


def waiting(loop: Drawn) -> None:
    loop.launch(50)
    loop.wait()
    loop.python(40)


def test_a_wait_removed() -> None:
    loop = drawn(waiting)
    assert step_us(loop) == every(1 + 8 + 50 + 3 + 40)
    # Neither the wait nor its call: 1, the launch, 40; the kernel and its gap need 51.
    one = offer(loop, "wait")
    assert (one.where, one.call) == ("Step *", "cudaStreamSynchronize")
    assert step_us(loop, one)[1:] == every(51)[1:]


def test_a_poll_holds_the_host_from_its_first_query_on() -> None:
    def step(loop: Drawn) -> None:
        end = loop.launch(50)
        loop.call(1, "cudaEventRecord_v3020")
        while loop.now < end:
            loop.query(3, done=False)
        loop.query(1, done=True)
        loop.python(40)

    loop = drawn(step)
    one = offer(loop, "wait")
    # The launch takes 5, the record 1: 52 are left, which is 18 queries of 3, and the last one.
    assert (one.call, one.spent_ns) == ("polling", (18 * 3 + 1) * US)


def test_a_wait_hidden() -> None:
    def step(loop: Drawn) -> None:
        waiting(loop)
        loop.python(30)

    loop = drawn(step)
    assert step_us(loop) == every(132)
    # 1, the launch, the event's calls, 70; what it waits for is long over.
    assert step_us(loop, offer(loop, "hidden-wait"))[1:] == every(1 + 5 + 1 + 2 + 70)[1:]


def test_a_hidden_wait_waits_for_the_step_before() -> None:
    loop = drawn(waiting)
    # 49 of host time and 51 of the kernel: the host never runs ahead by more than a step.
    found = replay(loop, [offer(loop, "hidden-wait").apply(loop, COSTS)])[0]
    assert np.diff(found).tolist()[1:] == [51 * US] * (STEPS - 2)


def test_the_allocator() -> None:
    def step(loop: Drawn) -> None:
        loop.call(60, "cudaMalloc_v3020")
        loop.launch(50)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 60 + 61)
    one = offer(loop, "allocator")
    assert (one.call, one.spent_ns, one.count) == ("cudaMalloc", 60 * US, 1)
    assert step_us(loop, one) == every(62)


def test_memory_given_back_when_the_device_is_idle() -> None:
    def step(loop: Drawn) -> None:
        end = loop.launch(50)
        loop.call(end + 20 - loop.now, "cudaFree_v3020")
        loop.launch(100)
        loop.python(30)

    loop = drawn(step)
    # The second kernel is launched 20 after the first, and needs 8 to start; the first of the next
    # step is launched in its time and follows it.
    assert step_us(loop)[1:] == every(50 + 20 + 8 + 100 + 1)[1:]
    assert {wait.how for wait in loop.waits} == {"freed"}
    # Without it, kernels follow each other.
    assert step_us(loop, offer(loop, "allocator"))[1:] == every(152)[1:]


def test_a_call_that_gives_memory_back_takes_its_own_time_where_the_device_is_idle() -> None:
    def step(loop: Drawn) -> None:
        end = loop.launch(50, name="long")
        loop.call(end + 20 - loop.now, "cudaFree_v3020")
        loop.launch(10, name="short")
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 50 + 20 + 8 + 10 + 3)
    # The kernel without time ends 8 after its launch: in the call, which waits for it.
    assert step_us(loop, offer(loop, "kernel", "long")) == every(1 + 8 + 0 + 20 + 8 + 10 + 3)


def test_modules_loaded() -> None:
    def step(loop: Drawn) -> None:
        loop.python(30)
        loop.call(700, "cuModuleLoadData")
        loop.launch(50)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(31 + 700 + 61)
    one = offer(loop, "module-loading")
    assert one.call == "cuModuleLoadData"
    # The code is made right before it is loaded: that time goes too.
    assert step_us(loop, one) == every(61)


def test_a_slow_launch_becomes_a_usual_one() -> None:
    def step(loop: Drawn) -> None:
        for _ in range(4):
            loop.launch(10)
        loop.launch(10, own=900)
        loop.wait()
        loop.python(10)

    loop = drawn(step)
    # From its launch on, the slow call holds the host: its kernel is over long before.
    assert step_us(loop) == every(1 + 4 * 5 + 900 + 4 + 10)
    one = offer(loop, "slow-launches")
    assert (one.count, one.spent_ns) == (1, 900 * US)
    # Five launches 5 apart, five kernels and their gaps, and the way back.
    assert step_us(loop, one) == every(1 + 8 + 5 * 10 + 4 + 3 + 10)


def test_work_that_something_holds_on_the_device() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(50)
        loop.launch(50, late=200)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 50 + 1 + 200 + 50 + 3)
    one = offer(loop, "held-starts")
    assert (one.spent_ns, one.count) == (200 * US, 1)
    assert step_us(loop, one) == every(113)


def test_a_stream_that_waits_for_another() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(80, stream=13)
        loop.stream_wait(stream=7, other=13)
        loop.launch(50)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 80 + 2 + 50 + 3)
    one = offer(loop, "stream-waits")
    assert (one.where, one.count) == ("Step *", 1)
    # Each starts 8 after its launch; the one on the other stream ends last, and nobody waits for
    # it. A step of the host: 1, 5 and 1 and 1, 8 and 50 and 3. The kernels of 80 need 81.
    found = replay(loop, [one.apply(loop, COSTS)])[0]
    mine = loop.lane[np.arange(len(found))] == 0
    assert np.diff(found[mine]).tolist() == [69 * US] * (STEPS - 1)
    assert np.diff(found[~mine]).tolist() == [81 * US] * (STEPS - 1)


def test_copies_from_pageable_memory() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(100)
        loop.copy(40, CopyKind.HTOD, PAGEABLE, holds=True, stream=13)
        loop.launch(100)
        loop.python(60)

    loop = drawn(step)
    assert {wait.how for wait in loop.waits} == {"staged"}
    one = offer(loop, "pageable-copies")
    assert (one.count, one.spent_ns) == (1, (8 + 40 + 3) * US)
    # The host's 1, 5, 5 (a usual launch), 5 and 60, and no wait; the kernels need 202.
    assert step_us(loop, one)[1:] == every(202)[1:]


def test_pageable_copies_that_hold_the_host() -> None:
    def step(loop: Drawn) -> None:
        loop.copy(200, CopyKind.HTOD, PAGEABLE, holds=True, stream=13)
        loop.launch(100)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 200 + 3 + 8 + 100 + 3)
    # The kernel does not wait for the copy: 1, a usual launch of 5, 8, 100 and 3. The copies'
    # stream is then behind: 201 a step.
    found = replay(loop, [offer(loop, "pageable-copies").apply(loop, COSTS)])[0]
    kernels = found[loop.lane == 0]
    assert np.diff(kernels).tolist() == [117 * US] * (STEPS - 1)


def test_pinned_copies_on_the_stream_of_the_kernels() -> None:
    def step(loop: Drawn) -> None:
        loop.copy(40, CopyKind.HTOD, PINNED, holds=False)
        loop.launch(100)
        loop.launch(100)

    loop = drawn(step)
    assert step_us(loop)[1:] == every(41 + 202)[1:]
    one = offer(loop, "copies-aside")
    assert (one.spent_ns, one.count) == (40 * US, 1)
    assert step_us(loop, one)[1:] == every(202)[1:]


def test_copies_beside_the_kernels_take_as_long_as_they_take() -> None:
    def step(loop: Drawn) -> None:
        loop.copy(300, CopyKind.HTOD, PINNED, holds=False)
        loop.launch(100)
        loop.launch(100)

    loop = drawn(step)
    one = offer(loop, "copies-aside")
    # Without them the kernels need 202; copies run one after the other, 300 each.
    assert step_us(loop, one)[1:] == every(202)[1:]
    assert one.least_ns == 300 * US


def test_copies_that_the_kernels_stream_waits_for() -> None:
    def step(loop: Drawn) -> None:
        loop.copy(40, CopyKind.HTOD, PINNED, holds=False, stream=13)
        loop.stream_wait(stream=7, other=13)
        loop.launch(50)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 40 + 2 + 50 + 3)
    # 1, the copy's launch, the event's two calls; the kernel starts 8 after its launch.
    assert step_us(loop, offer(loop, "copies-aside")) == every(1 + 5 + 1 + 1 + 8 + 50 + 3)


def eager(loop: Drawn) -> None:
    for _ in range(4):
        loop.python(20)
        loop.launch(10)
    loop.wait()


def test_eager_launches_in_one_graph() -> None:
    loop = drawn(eager)
    assert step_us(loop) == every(1 + 4 * 20 + 3 * 5 + 8 + 10 + 3)
    one = offer(loop, "graph")
    assert one.count == 4
    # Before the first launch the host takes its 21; then kernels follow each other.
    assert step_us(loop, one) == every(21 + 8 + 4 * 10 + 3 * 1 + 3)


def test_a_graph_is_as_sure_as_the_gaps_between_its_nodes_are_known() -> None:
    assert offer(drawn(eager), "graph").unsure_ns == 3 * 1 * US

    def step(loop: Drawn) -> None:
        loop.graph((10, 10, 10))
        eager(loop)

    assert offer(drawn(step), "graph").unsure_ns == 0


def test_a_graph_ends_at_a_long_pause_and_at_the_allocator() -> None:
    def step(loop: Drawn) -> None:
        for middle in (lambda: loop.python(600), lambda: loop.call(30, "cudaMalloc_v3020")):
            loop.launch(10)
            loop.python(20)
            loop.launch(10)
            middle()
        loop.launch(10)
        loop.python(20)
        loop.launch(10)
        loop.wait()

    loop = drawn(step)
    one = offer(loop, "graph")
    assert one.count == 6
    host = 1 + 3 * (5 + 20 + 5) + 600 + 30
    assert step_us(loop) == every(host - 5 + 8 + 10 + 3)
    # Each graph's launch is 20 and 0.1 a node; 8, 21 and 3 for the last one.
    assert step_us(loop, one) == pytest.approx(every(1 + 2 * 20.2 + 600 + 30 + 8 + 21 + 3))


def test_a_launch_that_is_slow_is_in_no_graph() -> None:
    def step(loop: Drawn) -> None:
        eager(loop)
        loop.launch(10, own=900)
        eager(loop)

    loop = drawn(step)
    assert step_us(loop) == every(1 + 2 * (4 * 20 + 3 * 5 + 8 + 10 + 3) + 900)
    one = offer(loop, "graph")
    assert one.count == 8
    # Two graphs of four launches, and the slow one as slow as it is.
    assert step_us(loop, one) == every(1 + 2 * (20 + 8 + 4 * 10 + 3 * 1 + 3) + 900)


def test_gaps_inside_a_graph() -> None:
    def step(loop: Drawn) -> None:
        loop.graph((10, 10, 10), gap=1)
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 32 + 3)
    one = offer(loop, "graph-gaps")
    assert (one.spent_ns, one.count) == (2 * US, 2)
    assert step_us(loop, one) == every(42)


def test_the_heaviest_kernel() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(200, name="gemm")
        loop.launch(50, name="relu")
        loop.wait()

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 200 + 1 + 50 + 3)
    assert [one.where for one in change("kernel").offers([loop])] == ["gemm", "relu"]
    # The call that waits has always waited for long: it does not keep the host from going on.
    assert step_us(loop, offer(loop, "kernel", "gemm")) == every(1 + 5 + 8 + 50 + 3)


def test_a_place_that_waits_and_computes() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(50)
        start = loop.now
        loop.wait()
        loop.python(40)
        loop.trace.nvtx(start * US, loop.now * US, "check", thread=loop.thread)
        loop.python(30)

    loop = drawn(step)
    assert step_us(loop) == every(1 + 8 + 50 + 3 + 40 + 30)
    # Neither: the host needs 36, the kernels 51.
    assert step_us(loop, offer(loop, "place", "check"))[1:] == every(51)[1:]


def test_long_pauses_everywhere() -> None:
    def step(loop: Drawn) -> None:
        for _ in range(4):
            loop.python(10)
            loop.launch(10)
            loop.python(500)
            loop.launch(10)
        loop.wait()

    loop = drawn(step)
    one = offer(loop, "long-pauses")
    assert one.count == 4
    # All pauses as long as the usual one.
    assert step_us(loop)[0] - step_us(loop, one)[0] == 4 * (500 - 10)
