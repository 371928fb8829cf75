"""What is counted, and when a recording is called incomplete."""

from __future__ import annotations

import dataclasses

import pytest

from harness.capture.cupti import completeness
from harness.capture.cupti.dump import Clock

from .packed import OPENED, at, kernel, launch, records

BEGIN, END, GRAPH = 2, 3, 4


def marker(us, flags, number, name):
    """A start (2) or end (4) of an NVTX range."""
    return {"timestamp": at(us), "flags": flags, "id": number, "name": name, "thread": 77}


def test_all_there():
    found = completeness.check(
        records(api=[launch(5, 1), launch(6, 4)], kernel=[kernel(5, 10, 12), kernel(6, 13, 20)]),
        [["Step 0", None, at(0.5), at(30), 77, 59]],
    )
    assert found.complete
    assert found.sentence() is None
    assert (found.launches, found.kernels, found.ranges_issued) == (2, 2, 1)
    assert (found.operations_without_launch, found.operations_before_launch) == (0, 0)


@pytest.mark.parametrize(
    ("tables", "more", "words"),
    [
        ({"api": [launch(5, 1)]}, {}, "1 of 1 launches have no kernel"),
        ({"api": [launch(5, 1)], "kernel": [kernel(5, 12, 10)]}, {}, "1 GPU rows have no valid"),
        ({"memset": [{"start": 0, "end": 0}]}, {}, "1 GPU rows have no valid time"),
        ({}, {"dropped": 9}, "9 records were dropped"),
        ({}, {"broken_buffers": 2}, "2 buffers could not be read"),
        ({}, {"stop_result": 7}, "did not deliver its last records (result 7)"),
    ],
)
def test_incomplete(tables, more, words):
    made = dataclasses.replace(records(**tables), **more)
    found = completeness.check(made, [])
    assert not found.complete
    assert words in found.sentence()


def test_the_known_problem_is_named_only_where_kernels_are_lost():
    lost = records(api=[launch(5, 1)])
    assert "13.1 mends it" in completeness.check(lost, []).sentence()
    newer = dataclasses.replace(lost, library_version=130100)
    assert "13.1" not in completeness.check(newer, []).sentence()
    dropped = dataclasses.replace(records(), dropped=1)
    assert "13.1" not in completeness.check(dropped, []).sentence()


def test_failed_and_captured_launches_owe_no_kernel():
    calls = [
        launch(1, 1, result=719),
        launch(2, 5, name=BEGIN),
        launch(3, 8),
        launch(4, 9, thread=78),  # another thread's: not captured
        launch(5, 12, name=END),
        launch(6, 15),
        launch(7, 18, name=GRAPH),
    ]
    found = completeness.check(
        records(api=calls, kernel=[kernel(4, 20, 21), kernel(6, 22, 23), kernel(7, 24, 25)]), []
    )
    assert (found.launches, found.kernels, found.captured_launches) == (2, 2, 1)
    assert found.complete


def test_captures_are_told_apart_by_thread_and_time():
    calls = []
    for thread in (77, 78):
        for capture in range(2):
            first = 100 * (thread - 77) + 10 * capture
            calls += [
                launch(first, first, name=BEGIN, thread=thread),
                launch(first + 1, first + 2, thread=thread),
                launch(first + 2, first + 4, name=END, thread=thread),
                launch(first + 3, first + 6, thread=thread),
            ]
    found = completeness.check(records(api=calls), [])
    assert (found.launches, found.kernels, found.captured_launches) == (4, 0, 4)


def test_operations_without_and_before_their_launch():
    found = completeness.check(
        records(api=[launch(5, 10)], kernel=[kernel(5, 9, 12), kernel(99, 13, 20)]), []
    )
    assert (found.operations_without_launch, found.operations_before_launch) == (1, 1)


@pytest.mark.parametrize(
    ("offsets", "shift", "error"),
    [((0, 0), 0, 20), ((15, -5), 0, 35), ((5000, 5100), 5000, 120), ((-7000, -7000), -7000, 20)],
)
def test_clocks(offsets, shift, error):
    made = records(offsets=offsets)
    assert completeness.clock_shift(made.opened, made.closed) == (shift, error)


def test_ranges_are_moved_by_the_shift_before_they_are_counted():
    # libcupti's clock is 5 ms ahead; a range that the host saw 1 us before the session is in it.
    made = records(offsets=(5_000_000, 5_000_000))
    ranges = [["Step 0", None, OPENED - 1000, OPENED + 500, 77, 59]]
    assert completeness.check(made, ranges).ranges_issued == 1
    assert completeness.check(records(), ranges).ranges_issued == 0


def test_ranges_that_libcupti_saw_through_nvtx():
    rows = [marker(1, 2, 1, 0), marker(2, 2, 2, 1), marker(3, 4, 2, 0), marker(4, 4, 1, 0),
            marker(5, 2, 3, 0)]  # fmt: skip
    made = dataclasses.replace(
        records(strings=("outer", "inner"), marker=rows), extra={"markers": True}
    )
    assert [row[0] for row in completeness.marker_ranges(made)] == ["inner", "outer"]
    ranges = [["outer", None, at(1), at(4), 77, 59], ["mine", None, at(1), at(4), 77, 59]]
    found = completeness.check(made, ranges)
    assert (found.ranges_issued, found.ranges_seen_by_nvtx) == (2, 1)
    assert found.complete


def test_the_clock_s_own_arithmetic():
    assert Clock(100, 130, 141).offset_ns == 10
    assert Clock(100, 130, 141).half_width_ns == 21
