"""Streams that wait for each other: what for, and which of these waits may be left out."""

from __future__ import annotations

import pytest

from harness.analysis.gains.loop import Loop
from harness.analysis.writer.writer import PINNED, CopyKind, SyncType

from .support import US, change
from .test_changes import Drawn, drawn, every, offer, step_us

REDUCE = "ncclDevKernel_AllReduce_Sum_f32_RING_LL"


def offered(loop: Loop) -> list[str]:
    return [one.call for one in change("stream-waits").offers([loop])]


def test_a_collective_is_waited_for_because_of_what_it_brings() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(50, name="backward")
        loop.stream_wait(stream=13, other=7)
        loop.launch(80, stream=13, name=REDUCE)
        loop.stream_wait(stream=7, other=13)
        loop.launch(30, name="optimizer")

    assert offered(drawn(step)) == []


def test_an_event_behind_a_streams_own_work_holds_it_not() -> None:
    """As DDP does it: an event is recorded before a collective for its stream to wait for, and one
    behind it; the stream of the kernels waits for the collectives only when all are queued, and for
    each in turn. The last event that had passed by then may stand behind that stream's own work."""

    def step(loop: Drawn) -> None:
        ends = []
        for us in (200, 300):
            loop.launch(20, name="backward")
            loop.stream_wait(stream=13, other=7)
            ends.append(loop.launch(us, stream=13, name=REDUCE))
            loop.call(1, "cudaEventRecord_v3020")
        loop.launch(10, name="scale")
        loop.call(1, "cudaEventRecord_v3020")
        for end in ends:
            begin, loop.now = loop.now, loop.now + 1
            loop.held[7] = end + 2
            loop.trace.wait(
                begin * US, loop.now * US, thread=loop.thread, stream=7,
                api_name="cudaStreamWaitEvent_v3020", sync_type=SyncType.STREAM_WAIT_EVENT,
            )  # fmt: skip
            loop.launch(5, name="copy back")
        loop.wait()

    loop = drawn(step)
    talks = [k for k in range(len(loop.action)) if loop.talks[k]]
    brought = [hold.target for hold in loop.holds if hold.lane == loop.lane[0]]
    assert [target for target in brought if target >= 0][-2:] == talks[-2:]
    assert loop.late.max() == 0


@pytest.mark.parametrize("kind", [CopyKind.HTOD, CopyKind.DTOH])
def test_so_is_a_copy_from_or_to_the_host(kind: CopyKind) -> None:
    def step(loop: Drawn) -> None:
        loop.copy(80, kind, PINNED, holds=False, stream=13)
        loop.stream_wait(stream=7, other=13)
        loop.launch(50)

    assert offered(drawn(step)) == []


def test_kernels_that_wait_for_kernels_may_not_have_to() -> None:
    def step(loop: Drawn) -> None:
        loop.launch(80, stream=13, name=REDUCE)
        loop.launch(80, stream=21)
        loop.stream_wait(stream=7, other=21)
        loop.launch(50)

    loop = drawn(step)
    assert offered(loop) == ["cudaStreamWaitEvent"]
    # Without it, what is left is the streams of 80.
    assert step_us(loop, offer(loop, "stream-waits"))[1:] == every(81)[1:]


def test_a_batch_fetched_ahead_is_that_of_the_step_before() -> None:
    """Each step copies the next batch, records an event behind it, and then waits for the event of
    the step before: that of the copy just queued has not passed when the kernel starts."""
    ready: list[int] = [0]

    def step(loop: Drawn) -> None:
        end = loop.copy(90, CopyKind.HTOD, PINNED, holds=False, stream=13)
        loop.call(1, "cudaEventRecord_v3020")
        begin, loop.now = loop.now, loop.now + 1
        loop.held[7] = ready[-1] + 2
        loop.trace.wait(
            begin * US, loop.now * US, thread=loop.thread, stream=7,
            api_name="cudaStreamWaitEvent_v3020", sync_type=SyncType.STREAM_WAIT_EVENT,
        )  # fmt: skip
        ready.append(end)
        loop.launch(40)

    loop = drawn(step)  # what is replayed is what was recorded
    targets = [hold.target for hold in loop.holds]
    copies = [k for k in range(len(loop.action)) if loop.lane[k] != loop.lane[1]]
    assert targets[1:] == copies[:-1]
