"""Timelines worked out by hand, held to the nanosecond."""

from __future__ import annotations

import pytest

from harness.analysis.gains.machine import Machine, Timing
from harness.analysis.gains.work import COPY, TO_DEVICE, TO_HOST, Span, Work
from harness.analysis.model.errors import TraceError

PLAIN = Timing(latency_ns=5, gap_ns=1, event_ns=2, wake_ns=3, node_gap_ns=4, queue_depth=1024)


def kernel(ns: int) -> Work:
    return Work("k", ns)


def to_host(ns: int, pageable: bool = False) -> Work:
    return Work("flag", ns, COPY, TO_HOST, 1, pageable)


def test_a_launch_on_an_idle_stream_starts_after_its_latency():
    # call [0, 3), work reaches the device at 0 + 5
    machine = Machine(PLAIN)
    assert machine.launch(kernel(10), 7, 3) == Span(5, 15)
    assert machine.now == 3


def test_queued_work_follows_after_the_gap():
    # second call [3, 6) would arrive at 8, the first ends at 15, plus 1
    machine = Machine(PLAIN)
    machine.launch(kernel(10), 7, 3)
    assert machine.launch(kernel(10), 7, 3) == Span(16, 26)


def test_two_streams_with_an_event():
    # A: call [0,3) runs [5,25); event behind it passes at 25; hold: B after 25 + 2
    # C on stream 7 again does not wait for B.
    machine = Machine(PLAIN)
    assert machine.launch(kernel(20), 7, 3) == Span(5, 25)
    passed = machine.record(7, 1)
    assert passed == 25
    machine.hold(13, passed, 1)
    assert machine.now == 5
    assert machine.launch(kernel(10), 13, 3) == Span(27, 37)
    assert machine.launch(kernel(10), 7, 3) == Span(26, 36)


def test_an_event_on_an_idle_stream_passes_when_it_arrives():
    machine = Machine(PLAIN, start=100)
    assert machine.record(7, 2) == 105
    machine.synchronize(105, 1, api="cudaEventSynchronize_v3020", kind="event")
    assert machine.now == 105 + PLAIN.wake_ns


def test_a_hold_that_has_passed_costs_nothing():
    machine = Machine(PLAIN, start=100)
    machine.hold(13, 50, 1)
    assert machine.launch(kernel(10), 13, 3) == Span(106, 116)


def test_synchronize_returns_after_the_wake_up():
    # work [5, 15): the host waits from 3 and returns at 15 + 3
    machine = Machine(PLAIN)
    span = machine.launch(kernel(10), 7, 3)
    machine.synchronize(span.end, 1, api="cudaStreamSynchronize_v3020")
    assert machine.now == 18


def test_synchronize_on_finished_work_takes_only_its_own_time():
    machine = Machine(PLAIN)
    span = machine.launch(kernel(10), 7, 3)
    machine.spend(100)
    machine.synchronize(span.end, 1, api="cudaStreamSynchronize_v3020")
    assert machine.now == 104


def test_a_pinned_copy_lands_later_and_the_host_goes_on():
    machine = Machine(PLAIN)
    machine.launch(kernel(10), 7, 3)
    assert machine.launch(to_host(2), 7, 3) == Span(16, 18)
    assert machine.now == 6


def test_a_pageable_copy_holds_the_host_until_it_has_landed():
    machine = Machine(PLAIN)
    machine.launch(kernel(10), 7, 3)
    assert machine.launch(to_host(2, pageable=True), 7, 3) == Span(16, 18)
    assert machine.now == 18 + 3


def test_copies_of_one_direction_share_an_engine():
    # stream 7 copies [5, 105); stream 13's call [3, 6) arrives at 8 but waits for the engine;
    # the other direction has an engine of its own.
    machine = Machine(PLAIN)
    assert machine.launch(to_host(100), 7, 3) == Span(5, 105)
    assert machine.launch(to_host(10), 13, 3) == Span(105, 115)
    back = Work("in", 10, COPY, TO_DEVICE, 1)
    assert machine.launch(back, 17, 3) == Span(11, 21)


def test_a_full_queue_holds_the_launch_until_its_oldest_work_is_over():
    # depth 2: launches at 0 and 3 fit; the third, at 6, waits for the first to end at 105.
    machine = Machine(Timing(latency_ns=5, queue_depth=2))
    assert machine.launch(kernel(100), 7, 3) == Span(5, 105)
    assert machine.launch(kernel(100), 7, 3) == Span(105, 205)
    assert machine.now == 6
    assert machine.launch(kernel(100), 7, 3) == Span(205, 305)
    assert machine.now == 108
    # The fourth waits for the second to end.
    machine.launch(kernel(100), 7, 3)
    assert machine.now == 208
    # Another stream has a queue of its own.
    assert machine.launch(kernel(1), 13, 3) == Span(213, 214)
    assert machine.now == 211


def test_a_graph_is_one_call_with_device_side_gaps():
    machine = Machine(PLAIN)
    spans = machine.submit(
        [kernel(10), kernel(20), kernel(5)], 7, 6, api="cudaGraphLaunch_v10000", graph=1
    )
    assert spans == (Span(5, 15), Span(19, 39), Span(43, 48))
    assert machine.now == 6
    assert len({row.correlation for row in machine.log.operations}) == 1
    # What is queued behind it comes after the stream's own gap.
    assert machine.launch(kernel(1), 7, 3) == Span(49, 50)


def test_a_whole_graph_is_one_row():
    machine = Machine(PLAIN)
    machine.submit([kernel(10), kernel(20)], 7, 6, api="cudaGraphLaunch", graph=1, whole=True)
    (row,) = machine.log.operations
    assert (row.start, row.end, row.kind) == (5, 39, "graph")


def test_work_queued_before_the_machine_began_is_respected():
    machine = Machine(PLAIN, start=1000)
    machine.occupy(7, 1500)
    assert machine.launch(kernel(10), 7, 3) == Span(1501, 1511)


@pytest.mark.parametrize("field", ["latency_ns", "gap_ns", "queue_depth"])
def test_constants_that_make_no_sense_are_refused(field):
    with pytest.raises(TraceError, match=field):
        Timing(**{field: -1})


def test_nothing_is_logged_while_not_recording():
    machine = Machine(PLAIN)
    machine.log.recording = False
    machine.launch(kernel(10), 7, 3)
    machine.log.recording = True
    machine.launch(kernel(10), 7, 3)
    assert len(machine.log.operations) == len(machine.log.calls) == 1
