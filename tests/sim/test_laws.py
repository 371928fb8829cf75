"""What must hold for every program, whatever its numbers."""

from __future__ import annotations

import itertools
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from harness.analysis.gains.machine import Timing
from harness.analysis.gains.work import COPY, TO_HOST, Work
from harness.analysis.model.intervals import complement, union
from harness.analysis.predict.program import Hold, Launch, Plain, Program, Spend, Sync, play
from harness.analysis.predict.whatifs.drop_sync import drop_sync
from harness.analysis.predict.whatifs.faster_kernels import faster_kernels
from harness.analysis.predict.whatifs.graph_launches import graph_launches
from harness.analysis.predict.whatifs.hide_sync import hide_sync

times = st.integers(0, 50)
streams = st.sampled_from([7, 13])


@st.composite
def timings(draw):
    return Timing(
        latency_ns=draw(times), gap_ns=draw(times), event_ns=draw(times), wake_ns=draw(times),
        node_gap_ns=draw(times), queue_depth=draw(st.integers(1, 6)),
    )  # fmt: skip


@st.composite
def programs(draw):
    """A few steps of spending, launching, recording, holding and waiting."""
    actions, queued = [], 0
    steps = draw(st.integers(1, 4))
    for step in range(steps):
        for _ in range(draw(st.integers(1, 8))):
            kind = draw(st.sampled_from(["spend", "launch", "copy", "graph", "hold", "sync"]))
            stream = draw(streams)
            if kind == "spend":
                actions.append(Spend(draw(times), step))
            elif kind == "hold":
                actions.append(Hold("cudaStreamWaitEvent", draw(times), stream, queued - 1, step))
            elif kind == "sync":
                only = draw(st.sampled_from([None, frozenset({stream})]))
                last = draw(st.integers(-1, queued - 1))
                actions.append(Sync("cudaStreamSynchronize", draw(times), last, only, step=step))
            else:
                count = draw(st.integers(2, 4)) if kind == "graph" else 1
                pageable = kind == "copy" and draw(st.booleans())
                works = tuple(
                    Work("copy", draw(st.integers(1, 90)), COPY, TO_HOST, 1, pageable)
                    if kind == "copy"
                    else Work("kernel", draw(st.integers(1, 90)))
                    for _ in range(count)
                )
                actions.append(Launch("cudaLaunchKernel", draw(times), works, stream, queued, step))
                queued += count
    return Program(tuple(actions), start=draw(times), steps=steps)


@given(programs(), timings())
def test_no_stream_overlaps_itself_and_nothing_starts_before_its_launch(program, timing):
    log = play(program, timing)
    call_start = {call.correlation: call.start for call in log.calls}
    last_end: dict = defaultdict(int)
    for row in log.operations:  # in the order of queueing
        assert row.start >= last_end[row.stream]
        assert row.start >= call_start[row.correlation] + timing.latency_ns
        assert row.end > row.start
        last_end[row.stream] = row.end


@given(programs(), timings())
def test_the_host_never_goes_back_and_its_calls_do_not_overlap(program, timing):
    calls = play(program, timing).calls
    for before, after in itertools.pairwise(calls):
        assert before.start <= before.end <= after.start


@given(programs(), timings())
def test_copies_of_one_direction_do_not_overlap(program, timing):
    copies = sorted((r.start, r.end) for r in play(program, timing).operations if r.kind == COPY)
    assert all(a[1] <= b[0] for a, b in itertools.pairwise(copies))


@given(programs(), timings())
def test_nothing_starts_before_what_it_was_told_to_wait_for(program, timing):
    ends: dict[int, int] = {}
    floor: dict = defaultdict(int)
    rows = iter(play(program, timing).operations)
    for action in program.actions:
        if isinstance(action, Hold) and action.last in ends:
            floor[action.stream] = max(floor[action.stream], ends[action.last] + timing.event_ns)
        elif isinstance(action, Launch):
            for k in range(len(action.works)):
                row = next(rows)
                assert row.start >= floor[action.stream]
                ends[action.first + k] = row.end


@given(programs(), timings())
def test_a_wait_returns_after_what_it_waited_for(program, timing):
    log = play(program, timing)
    ends = [row.end for row in log.operations]
    calls = iter(log.calls)
    for action in program.actions:
        if isinstance(action, Spend):
            continue
        call = next(calls)
        if isinstance(action, Sync) and action.last >= 0 and action.streams is None:
            held = ends[action.last]
            assert call.end >= held + (timing.wake_ns if held > call.start else 0)


@given(programs(), timings())
def test_busy_and_idle_make_the_window(program, timing):
    import numpy as np

    rows = play(program, timing).operations
    if not rows:
        return
    start, end = (np.array([getattr(r, k) for r in rows]) for k in ("start", "end"))
    busy = union(start, end)
    low, high = int(start.min()), int(end.max())
    assert busy.total + complement(busy, low, high).total == high - low


@given(programs(), timings(), st.floats(1.0, 8.0), st.integers(0, 20))
def test_faster_kernels_never_make_a_program_slower(program, timing, speedup, floor):
    slow = play(program, timing)
    fast = play(faster_kernels(program, times=speedup, floor_ns=floor), timing)
    for before, after in zip(slow.operations, fast.operations, strict=True):
        assert after.end <= before.end
    for before, after in zip(slow.calls, fast.calls, strict=True):
        assert after.end <= before.end


@given(programs(), timings(), times, times)
def test_no_wait_is_a_lower_bound_of_every_wait(program, timing, record_ns, wait_ns):
    bare = play(drop_sync(program), timing).operations
    hidden = hide_sync(program, record_ns=record_ns, wait_ns=wait_ns)
    for other in (program, hidden):
        for least, row in zip(bare, play(other, timing).operations, strict=True):
            assert least.end <= row.end


@given(programs(), timings())
def test_the_same_program_gives_the_same_nanoseconds(program, timing):
    first, second = play(program, timing), play(program, timing)
    assert first.calls == second.calls
    assert first.operations == second.operations


@given(programs(), timings(), times, st.integers(0, 3))
def test_graphing_keeps_every_operation_in_order(program, timing, launch_ns, node_ns):
    graphed = graph_launches(program, launch_ns=launch_ns, node_ns=node_ns)
    assert graphed.operations == program.operations
    before = [work for a in program.actions if isinstance(a, Launch) for work in a.works]
    after = [work for a in graphed.actions if isinstance(a, Launch) for work in a.works]
    assert after == before
    assert len(play(graphed, timing).operations) == len(before)


def test_plain_calls_only_take_time():
    log = play(
        Program((Plain("cudaMalloc", 5), Spend(3), Plain("cudaFree", 2)), start=10), Timing()
    )
    assert [(c.start, c.end) for c in log.calls] == [(10, 15), (18, 20)]
