"""Causes proved by construction: change one thing, and one figure moves by exactly that."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.idle.causes import Phase, causes
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, decode_loop, report


def split(found: TraceReport) -> dict[str, int]:
    """Idle us by cause, whole window, causes without time left out."""
    (device,) = found.devices
    assert sum(device.causes.values()) == device.idle_ns
    assert device.busy_ns + device.idle_ns == device.window_ns
    return {k: v // US for k, v in device.causes.items() if v}


def test_registry_has_one_catch_all_a_phase() -> None:
    for phase in (Phase.BEFORE, Phase.LAUNCH, Phase.AFTER):
        claiming = [c for c in causes() if c.rows or c.claims or c.holds]
        rest = [c for c in causes() if c.phase is phase and c not in claiming]
        assert len(rest) == 1
        assert rest[0].priority == max(c.priority for c in causes() if c.phase is phase)
    assert all(c.meaning and c.remedy for c in causes())


def test_more_python_between_steps_moves_host_alone(tmp_path: Path) -> None:
    before = split(report(decode_loop(), tmp_path))
    after = split(report(decode_loop(delay={5: 500}), tmp_path))
    assert after == before | {"host": before["host"] + 500}


def test_a_longer_kernel_moves_busy_alone(tmp_path: Path) -> None:
    short = report(decode_loop(kernel_us=100), tmp_path)
    long = report(decode_loop(kernel_us=130), tmp_path)
    assert split(long) == split(short)
    assert long.devices[0].busy_ns - short.devices[0].busy_ns == 14 * 3 * 30 * US


def test_the_stop_check_drains_the_queue(tmp_path: Path) -> None:
    found = report(decode_loop(sync="stream"), tmp_path)
    (series,) = found.series
    assert series.steady is not None
    assert next(iter(series.steady.drained_by)) == "Check Stop Condition · cudaStreamSynchronize"
    assert series.steady.limiter == "sync"


def test_a_pageable_async_copy_counts_as_synchronising(tmp_path: Path) -> None:
    found = report(decode_loop(sync="pageable"), tmp_path)
    # The copy's call returns 3 us after the copy: the host is held, and the GPU has nothing to do.
    assert split(found)["sync"] == 13 * 3
    assert list(found.devices[0].drained_by) == ["Check Stop Condition · cudaMemcpyAsync"]


def test_a_wait_that_begins_on_an_idle_gpu_drained_nothing(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.wait(25 * US, 27 * US, thread=thread)
    trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=thread)
    found = report(trace, tmp_path)
    assert found.devices[0].drained_by == {}
    assert split(found) == {"sync": 2, "host": 5 + 23, "launch": 5, "queue": 3}


def test_of_two_waits_the_one_that_the_gpu_ran_dry_in_drained(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.wait(10 * US, 22 * US, thread=thread, api_name="cudaEventSynchronize_v3020")
    trace.wait(25 * US, 27 * US, thread=thread, api_name="cudaStreamSynchronize_v3020")
    trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=thread)
    drained = report(trace, tmp_path).devices[0].drained_by
    assert drained == {"cudaEventSynchronize": (58 - 20) * US}


def test_a_pinned_copy_that_nobody_waits_for_does_not(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.copy(6 * US, 9 * US, 21 * US, 22 * US, bytes=1, thread=thread, dst_kind=1)
    trace.launch(40 * US, 45 * US, 48 * US, 60 * US, thread=thread)
    found = report(trace, tmp_path)
    assert found.devices[0].drained_by == {}
    assert split(found) == {"queue": 1 + 3, "host": 18, "launch": 5}


def test_a_graph_with_an_early_copy_is_still_launched_without_waiting(tmp_path: Path) -> None:
    trace, thread = builder()
    process = trace.process(100, "python")
    call = trace.api(0, 100 * US, "cudaGraphLaunch_v10000", thread=thread)
    trace.memcpy(10 * US, 12 * US, bytes=1, correlation=call, process=process, graph_node=1)
    trace.kernel(20 * US, 60 * US, name="k", correlation=call, process=process, graph_node=2)
    trace.launch(110 * US, 115 * US, 120 * US, 130 * US, thread=thread)
    found = report(trace, tmp_path)
    assert found.devices[0].drained_by == {}
    assert split(found) == {"launch": 8 + 5, "api": 40, "host": 10, "queue": 5}


def test_phases_of_one_gap(tmp_path: Path) -> None:
    """One gap [20, 100) that meets every cause of the launching thread, in order of priority."""
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.wait(10 * US, 25 * US, thread=thread)  # sync 5
    trace.api(30 * US, 40 * US, "cudaMalloc_v3020", thread=thread)  # alloc 10
    trace.api(50 * US, 60 * US, "cudaEventRecord_v3020", thread=thread)  # api 10
    trace.overhead(55 * US, 65 * US, "CUPTI Buffer flush", thread=thread)  # profiler
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    found = split(report(trace, tmp_path))
    assert found == {
        "sync": 5, "allocator": 10, "api": 5, "profiler": 10,
        "host": 5 + 10 + 15, "launch": 10, "queue": 10,
    }  # fmt: skip


def test_a_full_launch_queue_is_not_the_profilers_doing(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.overhead(30 * US, 40 * US, "Command Buffer Full", thread=thread)
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    assert split(report(trace, tmp_path)) == {"host": 60, "launch": 10, "queue": 10}


def test_another_threads_launch_is_a_handoff(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "autograd")
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=other)
    assert split(report(trace, tmp_path)) == {"handoff": 30, "launch": 5, "queue": 3}


def test_another_process_hands_nothing_over(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(trace.process(200, "python"), 200, "MainThread")
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=other)
    assert split(report(trace, tmp_path)) == {"host": 30, "launch": 5, "queue": 3}


def test_a_busy_other_thread_is_no_handoff(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "autograd")
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.api(25 * US, 30 * US, "cudaEventQuery_v3020", thread=other)
    trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=other)
    assert split(report(trace, tmp_path)) == {"host": 25, "api": 5, "launch": 5, "queue": 3}


def waiting_stream(*, other_device: int = 0, ipc: bool = False) -> TraceBuilder:
    """A kernel until 50; on another stream, behind a wait, a kernel from 60; and one from 75.
    `other_device`: until when a kernel runs on another device of the process, us; 0 for none."""
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread, stream=7)
    if other_device:
        trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
        trace.launch(
            2 * US, 3 * US, 5 * US, other_device * US, thread=thread, stream=7, device=1,
        )  # fmt: skip
    if ipc:
        trace.api(2 * US, 3 * US, "cudaIpcOpenEventHandle_v4010", thread=thread)
    waiting = trace.api(3 * US, 4 * US, "cudaStreamWaitEvent_v3020", thread=thread)
    trace.synchronization(
        3 * US, 4 * US, correlation=waiting, process=process, sync_type=2, stream=13
    )
    trace.launch(5 * US, 7 * US, 60 * US, 70 * US, thread=thread, stream=13)
    # The second operation after the wait on the same stream waits for its predecessor alone.
    trace.launch(8 * US, 9 * US, 75 * US, 80 * US, thread=thread, stream=13)
    return trace


@pytest.mark.parametrize("outward", [{"other_device": 55}, {"other_device": 60}, {"ipc": True}])
def test_a_wait_for_another_device_or_process_is_a_dependency(
    tmp_path: Path, outward: dict[str, int]
) -> None:
    found = report(waiting_stream(**outward), tmp_path)
    assert {k: v // US for k, v in found.devices[0].causes.items() if v} == {
        "dependency": 10, "queue": 5,
    }  # fmt: skip


@pytest.mark.parametrize("until", [45, 50, 61, 90])
def test_work_elsewhere_that_did_not_end_in_the_gap_held_nothing_back(
    tmp_path: Path, until: int
) -> None:
    found = report(waiting_stream(other_device=until), tmp_path)
    assert {k: v // US for k, v in found.devices[0].causes.items() if v} == {"queue": 15}


def test_a_wait_for_the_same_device_leaves_it_not_idle(tmp_path: Path) -> None:
    """While the device idles all that was queued before the event is done: the event has passed."""
    assert split(report(waiting_stream(), tmp_path)) == {"queue": 15}


@pytest.mark.parametrize(
    "call",
    [
        "cudaLaunchHostFunc_v10000", "cuStreamWaitValue32_v2", "cuStreamBatchMemOp_v2",
        "cudaWaitExternalSemaphoresAsync_v11020", "hipStreamWaitValue64", "hipLaunchHostFunc",
    ],
)  # fmt: skip
def test_what_a_stream_waits_for_outside_the_device_is_a_dependency(
    tmp_path: Path, call: str
) -> None:
    trace, thread = builder()
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread)
    trace.api(3 * US, 4 * US, call, thread=thread)
    trace.launch(5 * US, 7 * US, 60 * US, 70 * US, thread=thread)
    trace.launch(8 * US, 9 * US, 75 * US, 80 * US, thread=thread)
    assert split(report(trace, tmp_path)) == {"dependency": 10, "queue": 5}


def three_nodes() -> tuple[TraceBuilder, int]:
    """A launch of a graph whose nodes stand 5 us apart, and its process."""
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    launched = trace.api(0, 5 * US, "cudaGraphLaunch_v10000", thread=thread)
    for k in range(3):
        trace.kernel(
            (10 + 20 * k) * US, (25 + 20 * k) * US, name="node", correlation=launched,
            process=process, graph_node=k,
        )  # fmt: skip
    return trace, process


def test_nodes_of_one_graph_launch(tmp_path: Path) -> None:
    trace, _ = three_nodes()
    assert split(report(trace, tmp_path)) == {"graph": 10}


def test_nodes_of_a_graph_that_waited_are_still_the_graphs(tmp_path: Path) -> None:
    """The host function holds the first node back; between the nodes nothing but the graph does."""
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    trace.launch(0, US, 2 * US, 10 * US, thread=thread, stream=13)
    trace.api(2 * US, 3 * US, "cudaLaunchHostFunc_v10000", thread=thread)
    launched = trace.api(4 * US, 5 * US, "cudaGraphLaunch_v10000", thread=thread)
    for start in (15, 30):
        trace.kernel(start * US, (start + 10) * US, name="node", correlation=launched,
                     process=process)  # fmt: skip
    assert split(report(trace, tmp_path)) == {"dependency": 5, "graph": 5}


def test_work_without_a_launch_row_is_unknown(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.kernel(50 * US, 60 * US, name="orphan", correlation=999, process=thread & ~0xFFFFFF)
    found = report(trace, tmp_path)
    assert split(found) == {"unknown": 30}
    assert "launches-unknown" in [v.code for v in found.verdicts]


def test_clock_skew_is_clamped_and_counted(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.launch(60 * US, 65 * US, 50 * US, 70 * US, thread=thread)
    found = report(trace, tmp_path)
    assert split(found) == {"host": 30}
    assert found.attributions[0].skewed == 1
    assert found.attributions[0].skew_ns == 10 * US


@pytest.mark.parametrize("sync", ["pageable", "stream", "never"])
def test_kinds_add_up(tmp_path: Path, sync: str) -> None:
    found = report(decode_loop(sync=sync), tmp_path)
    (series,) = found.series
    kinds = series.inter_ns + series.intra_ns + series.unassigned_ns + series.boundary_ns
    assert kinds == found.devices[0].idle_ns
    assert series.unassigned_ns == series.boundary_ns == 0


def test_a_synchronise_row_of_the_wrong_type_is_no_dependency(tmp_path: Path) -> None:
    """nsys 2025 stores type 2, stream wait, for cudaStreamSynchronize (seen in real exports)."""
    trace, thread = builder()
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread)
    trace.wait(3 * US, 4 * US, thread=thread, sync_type=2)
    trace.launch(5 * US, 7 * US, 60 * US, 70 * US, thread=thread)
    assert split(report(trace, tmp_path)) == {"queue": 10}


@pytest.mark.parametrize(("idle", "cause"), [(100, "queue"), (101, "stall"), (64_000, "stall")])
def test_no_launch_takes_longer_than_100_us(tmp_path: Path, idle: int, cause: str) -> None:
    trace, thread = builder()
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread)
    trace.launch(5 * US, 7 * US, (50 + idle) * US, (60 + idle) * US, thread=thread)
    assert split(report(trace, tmp_path)) == {cause: idle}


def test_a_stall_counts_from_the_end_of_the_launch(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread)
    trace.launch(150 * US, 160 * US, 250 * US, 260 * US, thread=thread)
    assert split(report(trace, tmp_path)) == {"host": 100, "launch": 10, "queue": 90}


def held(*functions: tuple[int, int], idle: int = 10, **more: int) -> TraceBuilder:
    """A kernel until 50, and one after so much idle time that was launched long before; host
    functions were waited for meanwhile."""
    trace, thread = builder()
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread)
    trace.api(3 * US, 4 * US, "cudaLaunchHostFunc_v10000", thread=thread)
    trace.launch(5 * US, 7 * US, (50 + idle) * US, (60 + idle) * US, thread=thread)
    for start, end in functions:
        where = {"process": thread & ~0xFFFFFF} | more
        trace.host_function(start * US, end * US, **where)
    return trace


@pytest.mark.parametrize(
    ("functions", "spent"),
    [
        ([(52, 58)], {"host-function": 6, "queue": 4}),
        ([(40, 55), (53, 57), (59, 60)], {"host-function": 8, "queue": 2}),
        ([(40, 60)], {"host-function": 10}),
        # Clocks differ by so much.
        ([(40, 61)], {"host-function": 10}),
        # They ended after the kernel began at 60, which waited for others if for any.
        ([(40, 62)], {"queue": 10}),
        ([(40, 55), (56, 80)], {"host-function": 5, "queue": 5}),
        # They were recorded, so that the call alone is no reason.
        ([(40, 50)], {"queue": 10}),
    ],
)
def test_a_host_function_takes_the_time_that_it_was_waited_for(
    tmp_path: Path, functions: list[tuple[int, int]], spent: dict[str, int]
) -> None:
    assert split(report(held(), tmp_path)) == {"dependency": 10}
    assert split(report(held(*functions), tmp_path)) == spent


def test_a_host_function_on_any_stream_counts(tmp_path: Path) -> None:
    assert split(report(held((52, 58), stream=99), tmp_path)) == {"host-function": 6, "queue": 4}


def test_the_host_functions_of_others_hold_nothing_back(tmp_path: Path) -> None:
    assert split(report(held((52, 58), device=1), tmp_path)) == {"dependency": 10}
    trace = held()
    trace.host_function(52 * US, 58 * US, process=trace.process(200))
    assert split(report(trace, tmp_path)) == {"dependency": 10}


def test_a_host_function_before_the_launch_is_not_what_was_waited_for(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 2 * US, 5 * US, 50 * US, thread=thread)
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    trace.host_function(60 * US, 97 * US, process=thread & ~0xFFFFFF)
    assert split(report(trace, tmp_path)) == {
        "host": 30, "launch": 10, "host-function": 7, "queue": 3,
    }  # fmt: skip


def test_a_host_node_between_two_nodes_of_a_graph(tmp_path: Path) -> None:
    trace, process = three_nodes()
    trace.host_function(26 * US, 29 * US, process=process, graph_node=9, graph_id=1)
    assert split(report(trace, tmp_path)) == {"graph": 10 - 3, "host-function": 3}


@pytest.mark.parametrize(("function", "rest"), [(110, "stall"), (160, "queue")])
def test_a_stall_is_what_no_row_explains(tmp_path: Path, function: int, rest: str) -> None:
    """Of 260 us without an operation what is left must itself be longer than any launch takes."""
    found = split(report(held((50, 50 + function), idle=260), tmp_path))
    assert found == {"host-function": function, rest: 260 - function}


def test_another_processs_context_takes_the_time_that_it_had_the_gpu(tmp_path: Path) -> None:
    """The process's own context has the GPU until 52 and from 57 on."""
    trace = waiting_stream()
    process = trace.process(100)
    other = trace.process(7000, "another")
    trace.context_switch(1 * US, begin=True, context=21, process=process)
    trace.context_switch(52 * US, begin=False, context=21, process=process)
    trace.context_switch(53 * US, begin=True, context=22, process=other)
    trace.context_switch(56 * US, begin=False, context=22, process=other)
    trace.context_switch(57 * US, begin=True, context=21, process=process)
    assert split(report(trace, tmp_path)) == {"other-context": 3, "queue": 12}
    # What a host function takes is not taken twice.
    trace.host_function(51 * US, 55 * US, process=process)
    assert split(report(trace, tmp_path)) == {"host-function": 4, "other-context": 1, "queue": 10}
    # One that was waited for in vain hides nothing of what the others held.
    held_nothing = waiting_stream()
    for begin, end, context in ((1, 52, 21), (53, 56, 22), (57, 99, 21)):
        for at, begins in ((begin, True), (end, False)):
            held_nothing.context_switch(
                at * US, begin=begins, context=context, process=(process, other)[context - 21]
            )
    held_nothing.host_function(1 * US, 99 * US, process=process)
    assert split(report(held_nothing, tmp_path)) == {"other-context": 3, "queue": 12}


def test_a_context_that_had_the_gpu_when_the_kernel_began_held_nothing(tmp_path: Path) -> None:
    """By its rows, of which one is late or lost: our own has the GPU from 57 on."""
    for end, expected in ((90, {"queue": 15}), (56, {"other-context": 3, "queue": 12})):
        trace = waiting_stream()
        process, other = trace.process(100), trace.process(7000, "another")
        trace.context_switch(1 * US, begin=True, context=21, process=process)
        trace.context_switch(52 * US, begin=False, context=21, process=process)
        trace.context_switch(53 * US, begin=True, context=22, process=other)
        trace.context_switch(57 * US, begin=True, context=21, process=process)
        trace.context_switch(end * US, begin=False, context=22, process=other)
        assert split(report(trace, tmp_path)) == expected


@pytest.mark.parametrize("function", [210, 260])
def test_a_row_that_held_nothing_explains_no_stall(tmp_path: Path, function: int) -> None:
    """The kernel began at 310: up to there the function was not over."""
    found = split(report(held((50, 50 + function), (52, 400), idle=260), tmp_path))
    assert found == {"stall": 260}


def test_graph_nodes_beside_a_long_host_function(tmp_path: Path) -> None:
    trace, process = three_nodes()
    trace.host_function(11 * US, 99 * US, process=process)
    assert split(report(trace, tmp_path)) == {"graph": 10}
