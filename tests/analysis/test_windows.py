"""Narrowing: what lies outside the window has no say, and nothing inside is called missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question
from harness.analysis.report import TraceReport

from .build import US, builder, decode_loop, report


def two_gpus(steps: int = 6) -> object:
    """Step k works on GPU 0 in [100k, 100k + 50) us and on GPU 1 in [100k + 10, 100k + 95)."""
    trace, thread = builder()
    trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
    for k in range(steps):
        at = k * 100 * US
        trace.nvtx(at, at + 9 * US, f"Step {k}", thread=thread)
        trace.launch(at, at + US, at + 5 * US, at + 50 * US, thread=thread)
        trace.launch(at + US, at + 2 * US, at + 10 * US, at + 95 * US, thread=thread, device=1)
    return trace


def codes(found: TraceReport) -> list[str]:
    return [verdict.code for verdict in found.verdicts]


def test_steps_outside_the_window_are_left_out_and_not_called_dead(tmp_path: Path) -> None:
    whole = report(decode_loop(), tmp_path)
    table = whole.series[0].table
    cut = Question(start=int(table.gpu_start[4]), end=int(table.gpu_end[9]))
    found = report(decode_loop(), tmp_path, cut)
    (series,) = found.series
    assert series.table.number.tolist() == [4, 5, 6, 7, 8, 9]
    assert series.dead_steps == ()
    assert "dead-steps" not in codes(found)
    assert found.host[0].steps == 6
    # Inside the window every step keeps its figures; the first one's gap before it is cut off.
    assert series.table.idle[1:].tolist() == table.idle[5:10].tolist()


def test_a_step_without_work_inside_the_window_is_still_called_dead(tmp_path: Path) -> None:
    trace = decode_loop(delay={5: 100, 10: 100})
    thread = trace.thread(trace.process(100), 100)
    whole = report(trace, tmp_path).series[0].table
    for number, before in ((70, 5), (71, 10)):
        at = int(whole.start[before])
        trace.nvtx(at - 90 * US, at - 80 * US, f"Step {number}", thread=thread)
    cut = Question(start=int(whole.gpu_start[3]), end=int(whole.gpu_end[7]))
    found = report(trace, tmp_path, cut)
    assert found.series[0].dead_steps == (70,)


def test_a_step_slice_begins_where_each_gpu_fell_quiet(tmp_path: Path) -> None:
    found = report(two_gpus(), tmp_path, Question(steps=(2, 5)))
    # GPU 0 fell quiet at 150, before GPU 1 did at 195: the gap of 55 us before step 2 is in.
    assert found.gaps[0].window_start == 150 * US
    (first, _) = found.series
    assert first.table.number.tolist() == [2, 3, 4]
    assert [d.window_end_ns for d in found.devices] == [495 * US] * 2


def test_a_step_slice_of_one_gpu_looks_at_that_gpu(tmp_path: Path) -> None:
    found = report(two_gpus(), tmp_path, Question(steps=(2, 5), device=1))
    assert (found.gaps[0].window_start, found.gaps[0].window_end) == (195 * US, 495 * US)


@pytest.mark.parametrize(
    ("asked", "numbers"),
    [((0, 2), [0, 1]), ((12, None), [12, 13]), ((None, 1), [0]), ((0, None), list(range(14)))],
)
def test_slices_at_the_edges_of_the_trace(
    tmp_path: Path, asked: tuple[int | None, int | None], numbers: list[int]
) -> None:
    found = report(decode_loop(), tmp_path, Question(steps=asked))
    assert found.series[0].table.number.tolist() == numbers
    assert found.devices[0].busy_ns + found.devices[0].idle_ns == found.devices[0].window_ns
    assert found.devices[0].busy_ns == len(numbers) * (3 * 100 + 2) * US


def test_a_slice_keeps_the_series_that_have_it(tmp_path: Path) -> None:
    trace, first = builder()
    second = trace.thread(first & ~0xFFFFFF, 101, "worker")
    for thread, numbers, stream in ((first, range(0, 6), 7), (second, range(4, 9), 13)):
        for k in numbers:
            at = k * 100 * US
            trace.nvtx(at, at + 40 * US, f"Step {k}", thread=thread)
            trace.launch(at, at + US, at + 5 * US, at + 30 * US, thread=thread, stream=stream)
    numbers = [
        s.table.number.tolist() for s in report(trace, tmp_path, Question(steps=(6, 8))).series
    ]
    assert numbers == [[6, 7]]
    both = report(trace, tmp_path, Question(steps=(3, 6))).series
    assert [s.table.number.tolist() for s in both] == [[3, 4, 5], [4, 5]]
    with pytest.raises(TraceError, match=r"no step in 9: \(it has 0\.\.5, 4\.\.8\)"):
        report(trace, tmp_path, Question(steps=(9, None)))


def test_windows_cut_operations_and_their_boundaries(tmp_path: Path) -> None:
    """An operation over both edges is busy to the edges; one that touches an edge is outside."""
    trace, thread = builder()
    trace.launch(0, 1, 10, 20, thread=thread)
    trace.launch(2, 3, 30, 70, thread=thread)
    trace.launch(4, 5, 80, 90, thread=thread)
    inner = report(trace, tmp_path, Question(start=40, end=60))
    assert (inner.devices[0].busy_ns, inner.devices[0].idle_ns) == (20, 0)
    edge = report(trace, tmp_path, Question(start=20, end=80))
    assert edge.devices[0].operations == 1
    assert edge.devices[0].causes == dict.fromkeys(edge.devices[0].causes, 0) | {
        "queue": 10,  # before the long one
        "tail": 10,  # after it: the next operation begins at the edge
    }
    assert edge.gaps[0].boundary.tolist() == [True, True]


def test_negative_times_and_equal_starts(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.allow_invalid = True
    trace.launch(-100, -90, -80, -50, thread=thread)
    trace.launch(-60, -55, -20, 10, thread=thread)
    trace.launch(-58, -54, -20, 5, thread=thread, stream=13)
    found = report(trace, tmp_path)
    (device,) = found.devices
    assert (device.window_start_ns, device.window_ns, device.idle_ns) == (-80, 90, 30)
    # Both start at -20: the lower correlationId is the operation after the gap.
    assert int(found.gaps[0].after[0]) == 1
    assert found.trace.operations.correlation.tolist() == [1, 2, 3]


def test_one_operation_and_one_step(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(0, 10, "Step 0", thread=thread)
    trace.launch(1, 2, 3, 9, thread=thread)
    found = report(trace, tmp_path)
    assert (found.devices[0].window_ns, found.devices[0].idle_ns, len(found.gaps[0])) == (6, 0, 0)
    assert found.devices[0].gaps is None
    assert found.series[0].steady is None
    assert found.host[0].duration is None


def in_parts(trace: object, folder: Path, question: Question) -> None:
    from .test_steady_state import same_in_parts

    same_in_parts(trace, folder, question)


@pytest.mark.parametrize(
    "beyond",
    [
        Question(end=10**10),
        Question(start=-(10**9)),
        Question(start=0, end=10**12),
        Question(start=-1, end=10**10, device=1),
    ],
)
def test_a_window_beyond_the_recording_changes_nothing(tmp_path: Path, beyond: Question) -> None:
    plain = report(two_gpus(), tmp_path, Question(device=beyond.device))
    found = report(two_gpus(), tmp_path, beyond)
    assert found.devices == plain.devices
    assert found.all_window_ns == plain.all_window_ns
    assert [one.steady for one in found.series] == [one.steady for one in plain.series]
    assert found.verdicts == plain.verdicts
    in_parts(two_gpus(), tmp_path, beyond)


def test_an_end_beyond_the_recording_leaves_the_start(tmp_path: Path) -> None:
    cut = report(two_gpus(), tmp_path, Question(start=150 * US, end=10**10))
    assert [d.window_ns for d in cut.devices] == [400 * US, 445 * US]


def test_a_gpu_idle_through_the_whole_window_is_idle_and_not_missing(tmp_path: Path) -> None:
    """GPU 0 works in [100k, 100k + 50) us, GPU 1 until 100k + 95."""
    question = Question(start=260 * US, end=290 * US, definitions=True)
    found = report(two_gpus(), tmp_path, question)
    first, second = found.devices
    assert (first.window_ns, first.idle_ns, first.busy_ns) == (30 * US, 30 * US, 0)
    assert (first.operations, first.gap_count) == (0, 1)
    assert {name: ns for name, ns in first.causes.items() if ns} == {"tail": 30 * US}
    assert (second.window_ns, second.idle_ns) == (30 * US, 0)
    assert (found.all_window_ns, found.all_idle_ns) == (30 * US, 0)
    assert "empty-window" not in codes(found)
    in_parts(two_gpus(), tmp_path, question)
    one = report(two_gpus(), tmp_path, Question(start=260 * US, end=290 * US, device=0))
    assert [d.idle_ns for d in one.devices] == [30 * US]


def test_a_window_in_a_gap_of_all_gpus_is_all_idle(tmp_path: Path) -> None:
    question = Question(start=296 * US, end=299 * US)
    found = report(two_gpus(), tmp_path, question)
    assert [(d.idle_ns, d.window_ns) for d in found.devices] == [(3 * US, 3 * US)] * 2
    assert (found.all_window_ns, found.all_idle_ns) == (3 * US, 3 * US)
    in_parts(two_gpus(), tmp_path, question)


@pytest.mark.parametrize("window", [(10**9, 2 * 10**9), (-100, -50), (10**9, None), (None, -5)])
def test_a_window_outside_the_recording_is_empty(
    tmp_path: Path, window: tuple[int | None, int | None]
) -> None:
    found = report(two_gpus(), tmp_path, Question(start=window[0], end=window[1]))
    assert found.devices == ()
    assert "empty-window" in codes(found)


def test_a_window_without_steps_does_not_say_that_there_are_none(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(10):
        at = (1000 + 100 * k) * US
        trace.nvtx(at, at + 90 * US, f"Step {k}", thread=thread)
        trace.launch(at, at + 5 * US, at + 10 * US, at + 60 * US, thread=thread)
    trace.launch(9000 * US, 9005 * US, 9010 * US, 9020 * US, thread=thread)
    found = report(trace, tmp_path, Question(start=3000 * US, end=8000 * US))
    (said,) = (one for one in found.verdicts if one.figures == "steps")
    assert said.reason == "no step lies in the chosen window"
    assert said.remedy == "widen --start/--end or --steps"
    assert found.devices[0].idle_ns == found.devices[0].window_ns == 5000 * US
