"""Loops with more than a thread and a stream: what an operation or a thread goes by when the
recorder is taken out, where the recording does not say it plainly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.bare.take_out import bare_trace, read_recorded
from harness.analysis.gains.work import COPY, TO_HOST, Work
from harness.analysis.model.trace import Trace
from harness.analysis.predict.program import Action, Hold, Launch, Plain, Program, Spend, Sync
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.range_cpu import RangeCpu
from harness.analysis.writer.writer import TraceBuilder

from .support import TIMING, US, cost, costly, loop, recorded, step_ns
from .test_comes_back import SIDE, STREAM, launches
from .test_take_out_laws import same


def reopened(builder: TraceBuilder, folder: Path) -> Trace:
    path = folder / "t.sqlite"
    builder.write(path, force=True)
    return open_trace(path)


def empty() -> tuple[TraceBuilder, int]:
    builder = TraceBuilder(producer="builder", origin="synthetic")
    builder.device(name="GPU", uuid="u")
    return builder, builder.process(100, "python")


def test_threads_that_take_turns_shrink_together(tmp_path: Path) -> None:
    """Autograd's thread calls while the main one waits for it: the main one goes on as much
    earlier as that one is done."""
    builder, process = empty()
    main, other = (builder.thread(process, tid, f"t{tid}") for tid in (100, 101))
    now, gpu = 1_000, 0
    for number in range(20):
        begun = now
        for thread in (main, other):
            for _ in range(5):
                gpu = max(gpu, now + 6) + 2
                builder.launch(now * US, (now + 5) * US, (gpu - 2) * US, gpu * US, thread=thread)
                now += 10
        builder.nvtx(begun * US, now * US, f"Step {number}", thread=main)
    trace = reopened(builder, tmp_path)
    bare = bare_trace(trace, cost(1 * US, 1 * US))
    assert step_ns(trace) == 100 * US
    assert step_ns(bare) == 80 * US


def test_a_thread_beside_the_main_one_keeps_step_with_it(tmp_path: Path) -> None:
    """A watchdog that asks every 300 µs neither runs away nor stays behind."""
    builder, process = empty()
    main, other = (builder.thread(process, tid, f"t{tid}") for tid in (100, 101))
    for k in range(300):
        now = 10 * k + 1_000
        builder.launch(now * US, (now + 5) * US, (now + 6) * US, (now + 8) * US, thread=main)
        if k % 30 == 0:
            builder.api(
                (now + 1) * US, (now + 4) * US, "cudaEventQuery_v3020", thread=other,
                correlation=100_000 + k,
            )  # fmt: skip
    trace = reopened(builder, tmp_path)
    bare = bare_trace(trace, cost(1 * US, 1 * US))
    asked = bare.calls.named({"cudaEventQuery"})
    near = np.searchsorted(bare.calls.start[~asked], bare.calls.start[asked], side="right") - 1
    assert near.tolist() == list(range(0, 300, 30))


def test_a_launch_that_waits_for_room_goes_by_the_device(tmp_path: Path) -> None:
    """The queue is full: launches wait, and less cost a call makes nothing faster."""
    builder, process = empty()
    thread = builder.thread(process, 100, "main")
    ends: list[int] = []
    now = 1_000
    for k in range(600):
        begun = now
        length = 4
        if k >= 200:
            length = max(4, ends[k - 200] - now + 1)
        start = max(begun + 5, ends[-1] + 1 if ends else 0)
        ends.append(start + 40)
        builder.launch(begun * US, (begun + length) * US, start * US, ends[-1] * US, thread=thread)
        now = begun + length + 3
    trace = reopened(builder, tmp_path)
    bare = bare_trace(trace, cost(2 * US, 1 * US))
    first = bare.operations.start[0]
    assert (bare.operations.start - first).tolist() == (
        trace.operations.start - trace.operations.start[0]
    ).tolist()
    late = np.arange(300, 600)
    moved = trace.calls.end[late] - bare.calls.end[late]
    assert (moved <= 3 * US).all(), "launches followed the host, not the device"


def beside(number: int, first: int) -> list[Action]:
    """A loop that reads by a copy on a stream of its own, behind an event."""
    copy = Work("copy", 2 * US, COPY, TO_HOST, 1)
    own = launches(first, 12, 13, 4, number)
    return [
        *own,
        Plain("cudaEventRecord", 1 * US, number),
        Hold("cudaStreamWaitEvent", 1 * US, SIDE, first + 11, number),
        Launch("cudaMemcpyAsync", 4 * US, (copy,), SIDE, first + 12, number),
        Sync("cudaStreamSynchronize", 3 * US, first + 12, frozenset({SIDE}), "stream", number),
    ]


def without(trace: Trace, *names: str) -> Trace:
    """As a recorder sees it that leaves these calls out."""
    from msgspec.structs import replace

    calls, operations, synced = trace.calls, trace.operations, trace.synchronizations
    kept = ~calls.named(set(names))
    place = np.where(kept, np.cumsum(kept) - 1, -1)
    columns = {
        name: getattr(calls, name)[kept] for name in calls.__struct_fields__ if name != "names"
    }
    mine = place[synced.call] >= 0
    waits = {name: getattr(synced, name)[mine] for name in synced.__struct_fields__}
    waits["call"] = place[waits["call"]]
    return replace(
        trace,
        calls=replace(calls, **columns),
        operations=replace(operations, launch=place[operations.launch]),
        synchronizations=replace(synced, **waits),
    )


@pytest.mark.parametrize("left_out", [(), ("cudaEventRecord", "cudaStreamWaitEvent")])
def test_streams_wait_for_each_other_though_no_event_is_recorded(
    left_out: tuple[str, ...],
) -> None:
    program = loop(beside)
    bare = recorded(program, TIMING)
    long = without(recorded(costly(program, 2_000, 1_000), TIMING), *left_out)
    found = bare_trace(long, cost(2_000, 1_000))
    same(bare_trace(long, cost(0, 0)), long)
    # What the calls cost that nobody recorded is not known. (Where the device was quiet before a
    # copy was launched, that it waited for anything is not to be seen either.)
    unknown = 3_000 * len(left_out)
    assert step_ns(bare) <= step_ns(found) + 1 <= step_ns(bare) + unknown + 0.01 * step_ns(bare)
    copies = found.operations.copy_kind > 0
    behind = np.searchsorted(found.operations.end[~copies], found.operations.start[copies], "right")
    assert behind.tolist() == [12 * (k + 1) for k in range(12)]


def test_branches_of_a_graph_keep_their_order(tmp_path: Path) -> None:
    builder, process = empty()
    thread = builder.thread(process, 100, "main")
    now = 1_000
    for k in range(10):
        builder.api(
            now * US, (now + 30) * US, "cudaGraphLaunch_v10000", thread=thread, correlation=k + 1
        )
        for node, (stream, start, end) in enumerate(
            [(7, 40, 50), (8, 51, 90), (7, 52, 60), (7, 95, 99)]
        ):
            builder.kernel(
                (now + start) * US, (now + end) * US, name="k", process=process, device=0,
                stream=stream, correlation=k + 1, graph_node=(1 << 32) + node + 1,
            )  # fmt: skip
        now += 150
    trace = reopened(builder, tmp_path)
    bare = bare_trace(trace, cost(0, 20 * US, node=1 * US))
    each = bare.operations.start.reshape(10, 4)
    assert (each - each[:, :1] == (np.array([0, 11, 12, 55]) * US)).all()
    assert (np.diff(each[:, 0]) < 130 * US).all()
    launch = bare.operations.launch
    assert (bare.operations.start >= bare.calls.start[launch]).all()


def test_ranges_cost_where_they_open_and_close() -> None:
    program = loop(lambda number, first: launches(first, 4, 2, 6, number))
    trace = recorded(program, TIMING)
    bare = bare_trace(trace, cost(0, 0, range=2_000))
    assert step_ns(trace) - step_ns(bare) == 2_000


def test_time_on_a_core_moves_with_its_range() -> None:
    program = loop(lambda number, first: launches(first, 4, 2, 6, number))
    trace = recorded(program, TIMING)
    times = read_recorded(trace).without([cost(500, 500)])[0]
    ranges = trace.ranges
    thread = np.array([one.global_tid for one in trace.threads], np.int64)[ranges.thread]
    noted = times.cpu(RangeCpu(ranges.start, ranges.end, thread, ranges.end - ranges.start))
    bare = times.trace().ranges
    assert np.array_equal(noted.start, bare.start)
    assert np.array_equal(noted.end, bare.end)
    assert times.trace().source.duration_ns is None or (
        times.trace().source.duration_ns >= bare.end.max()
    )


def test_processes_are_taken_one_by_one(tmp_path: Path) -> None:
    builder = TraceBuilder(producer="builder", origin="synthetic")
    builder.device(name="GPU", uuid="u")
    for pid in (100, 200):
        process = builder.process(pid, "python")
        thread = builder.thread(process, pid, "main")
        for k in range(50):
            now = 1_000 + 20 * k
            builder.launch(now * US, (now + 5) * US, (now + 8) * US, (now + 10) * US, thread=thread)
    trace = reopened(builder, tmp_path)
    bare = bare_trace(trace, cost(1 * US, 2 * US))
    for process in (0, 1):
        mine = bare.operations.process == process
        assert (np.diff(bare.operations.start[mine]) == 17 * US).all()


def spent(program: Program) -> int:
    return sum(one.ns for one in program.actions if isinstance(one, Spend))


def test_what_a_thread_does_keeps_its_length() -> None:
    program = loop(lambda number, first: launches(first, 6, 2, 7, number))
    long = recorded(costly(program, 1_500, 700), TIMING)
    bare = bare_trace(long, cost(1_500, 700)).calls
    between = (bare.start[1:] - bare.end[:-1]).sum()
    assert between == spent(program) - 7 * US - 5 * US  # before the first call, after the last
    assert STREAM != SIDE
