"""What the steady state counts, and what it leaves out: time and count alike."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.idle.figures import SeriesSummary
from harness.analysis.idle.numbers import missing_after
from harness.analysis.idle.sizes import Sizes
from harness.analysis.question import Question
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Report
from harness.analysis.reports.tables.figures import overview
from harness.analysis.scenes.moments import figures_of
from harness.analysis.scenes.states import gap_states
from harness.analysis.writer.writer import TraceBuilder

from ..store.compare import figures, in_detail, ordered
from ..store.test_chunks import stored
from .build import US, builder, report, verdict


def loop(
    numbers: list[int],
    *,
    dead: dict[int, int] | None = None,
    unmarked: frozenset[int] = frozenset(),
    pause: dict[int, int] | None = None,
) -> TraceBuilder:
    """Steps of 100 us, 80 of them busy: idle 10 in Python, 5 in the launch, 5 queued.

    `dead`: how long these steps take, us, and launch nothing. `unmarked`: steps without a range.
    `pause`: how long nothing is recorded before these steps, us.
    """
    trace, thread = builder()
    at = 1000
    for number in numbers:
        at += (pause or {}).get(number, 0)
        length = (dead or {}).get(number, 100)
        if number not in unmarked:
            trace.nvtx(at * US, (at + length - 1) * US, f"Step {number}", thread=thread)
        if number not in (dead or {}):
            trace.launch(at * US, (at + 5) * US, (at + 10) * US, (at + 90) * US, thread=thread)
        at += length
    return trace


def only(found: TraceReport) -> SeriesSummary:
    (series,) = found.series
    return series


def said(found: TraceReport, code: str) -> str:
    (reason,) = (verdict.reason for verdict in found.verdicts if verdict.code == code)
    return reason


def same_in_parts(trace: TraceBuilder, folder: Path, question: Question | None = None) -> None:
    """A stored trace gives the same figures, however it is cut."""
    path = folder / "parts.sqlite"
    trace.write(path, force=True)
    question = question or Question()
    whole = ordered(figures(analyze(path, question)))
    store = stored(open_trace(path), folder / "store")
    for sizes in (Sizes(1, 1), Sizes(7, 3)):
        assert ordered(figures(analyze(store, in_detail(question), sizes))) == whole


def steady(found: TraceReport) -> tuple[int, float, float]:
    """(steps, period, idle) in us."""
    figures = only(found).steady
    assert figures is not None
    return figures.steps, figures.period_ns / US, figures.idle_ns / US


def test_a_dead_step_is_left_out_of_time_and_count_alike(tmp_path: Path) -> None:
    trace = loop(list(range(20)), dead={10: 20_001})
    found = report(trace, tmp_path)
    assert steady(found) == (17, 100, 20)
    series = only(found)
    assert series.dead_steps == (10,)
    assert series.steady.causes["host"] == 10 * US
    assert (series.steady.causes["launch"], series.steady.causes["queue"]) == (5 * US, 5 * US)
    assert series.idle_per_step.max_ns == 20 * US
    assert series.steady.host_ns == 100 * US
    # The recording is what it is: the gap stays in the window, and in the table of steps.
    assert found.devices[0].idle_ns == (18 * 20 + 20_001) * US
    assert series.table.inter[11] == (20_001 + 20) * US
    shown = figures_of(found, series)
    assert shown.period[shown.steady].tolist() == [100 * US] * 17
    assert shown.idle[shown.steady].tolist() == [20 * US] * 17
    same_in_parts(trace, tmp_path)


@settings(max_examples=30, deadline=None)
@given(
    dead=st.dictionaries(st.integers(2, 16), st.integers(1, 5_000), max_size=8),
)
def test_dead_steps_change_no_figure_of_the_others(
    tmp_path_factory: pytest.TempPathFactory, dead: dict[int, int]
) -> None:
    found = report(loop(list(range(20)), dead=dead), tmp_path_factory.mktemp("dead"))
    assert steady(found) == (18 - len(dead), 100, 20)


def test_dead_steps_that_the_gpu_never_noticed_take_nothing(tmp_path: Path) -> None:
    """The host is far ahead: no idle time is a dead step's, and none is taken from the others."""
    trace, thread = builder()
    for k in range(20):
        at = 1000 + 10 * k
        trace.nvtx(at * US, (at + 9) * US, f"Step {k}", thread=thread)
        if k != 10:
            begin = 2000 + 100 * (k - (k > 10))
            trace.launch(at * US, (at + 2) * US, begin * US, (begin + 80) * US, thread=thread)
    assert steady(report(trace, tmp_path)) == (17, 100 - 10 / 17, 20 - 10 / 17)


def test_a_step_that_works_on_another_gpu_is_not_dead(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
    for k in range(20):
        at = 1000 + 100 * k
        trace.nvtx(at * US, (at + 99) * US, f"Step {k}", thread=thread)
        trace.launch(
            at * US, (at + 5) * US, (at + 10) * US, (at + 90) * US, thread=thread, device=k % 2
        )
    found = report(trace, tmp_path)
    assert [one.steady.period_ns for one in found.series] == [200 * US] * 2
    assert [one.dead_steps for one in found.series] == [(), ()]
    assert not any(verdict.code == "dead-steps" for verdict in found.verdicts)


def test_lost_ranges_do_not_lengthen_the_step(tmp_path: Path) -> None:
    trace = loop(list(range(30)), unmarked=frozenset({7, 12, 13, 20, 25}))
    found = report(trace, tmp_path)
    # 25 ranges, the first and the last, and the one before each of the four holes.
    assert steady(found) == (19, 100, 20)
    assert said(found, "steps-missing").startswith("5 steps are missing by their numbers")
    assert "6 to 8, 11 to 14, 19 to 21, 24 to 26" in said(found, "steps-missing")
    same_in_parts(trace, tmp_path)


def test_work_of_no_step_in_a_pause_does_not_lengthen_the_step(tmp_path: Path) -> None:
    """The pause lasts 30 ms, and one operation of no step runs in the middle of it."""
    trace = loop([*range(3, 13), *range(23, 33)], pause={23: 30_000})
    other = trace.thread(trace.process(200, "other"), 200, "main")
    trace.launch(17_000 * US, 17_005 * US, 17_010 * US, 17_020 * US, thread=other)
    found = report(trace, tmp_path)
    assert steady(found) == (16, 100, 20)
    assert "the periods around them are left out" in said(found, "steps-missing")
    same_in_parts(trace, tmp_path)


def test_steps_that_count_by_tens_are_not_missing(tmp_path: Path) -> None:
    found = report(loop(list(range(0, 200, 10))), tmp_path)
    assert steady(found) == (18, 100, 20)
    assert found.verdicts == ()


def test_a_pause_between_repeats_is_no_idle_time_of_a_step(tmp_path: Path) -> None:
    trace = loop([*range(3, 9), *range(13, 19)], pause={13: 50_000})
    found = report(trace, tmp_path)
    assert steady(found) == (8, 100, 20)  # without the ends of both repeats
    assert only(found).idle_per_step.max_ns == 20 * US
    assert "from 8 to 13" in said(found, "recording-paused")
    assert "paused for 50.0 ms" in said(found, "recording-paused")
    # Nobody saw what the host did in the pause.
    (device,) = found.devices
    assert device.causes["unknown"] == 50_020 * US
    assert device.causes["host"] == sum(device.host_ranges.values()) == 10 * 10 * US
    assert sum(device.causes.values()) == device.idle_ns
    assert verdict(found, "launches-unknown") is None
    assert verdict(found, "steps-missing") is None
    states = gap_states(found.trace, found.gaps[0], found.attributions[0])
    longest = int(np.argmax(states.end - states.start))
    assert found.attributions[0].causes[states.cause[longest]].name == "unknown"
    same_in_parts(trace, tmp_path)


def test_a_prefetch_stream_far_ahead_leaves_the_step_what_it_is(tmp_path: Path) -> None:
    """Copies of 2,000 us for later steps, kernels of 10 x 1,000 us with 50 between."""
    trace, thread = builder()
    gpu = 3020
    for k in range(20):
        at = 1000 * (k + 1)
        trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=thread)
        trace.copy(
            (at + 5) * US, (at + 10) * US, (1020 + 2000 * k) * US, (3020 + 2000 * k) * US,
            bytes=1 << 20, src_kind=1, dst_kind=2, stream=13, thread=thread,
        )  # fmt: skip
        for n in range(10):
            call = at + 20 + 50 * n
            trace.launch(call * US, (call + 5) * US, gpu * US, (gpu + 1000) * US, thread=thread)
            gpu += 1050
    found = report(trace, tmp_path)
    steps, period, idle = steady(found)
    # Five, five and three steps' copies begin in the first three periods.
    assert (steps, period, idle) == (15, 10_500, 500)
    assert only(found).steady.by_ends
    shown = figures_of(found, only(found))
    assert shown.period[shown.steady].tolist() == [10_500 * US] * 15
    same_in_parts(trace, tmp_path)


def test_a_stream_that_keeps_the_hosts_time_does_not_tell_the_devices(tmp_path: Path) -> None:
    """Each step begins with a copy of 5 us, on a stream of its own and at once, every 100 us of the
    host; its kernel of 299 us follows that of the step before."""
    trace, thread = builder()
    gpu = 1020
    for k in range(16):
        at = 1000 + 100 * k
        trace.nvtx(at * US, (at + 99) * US, f"Step {k}", thread=thread)
        trace.copy(
            (at + 1) * US, (at + 2) * US, (at + 8) * US, (at + 13) * US, bytes=8, stream=13,
            thread=thread,
        )  # fmt: skip
        trace.launch((at + 5) * US, (at + 8) * US, gpu * US, (gpu + 299) * US, thread=thread)
        gpu += 300
    found = report(trace, tmp_path)
    _, period, idle = steady(found)
    assert (period, idle) == (300, 1)
    assert only(found).steady.by_ends
    same_in_parts(trace, tmp_path)


def test_a_copy_ahead_in_a_loop_that_waits_changes_nothing(tmp_path: Path) -> None:
    """The next batch is copied during each step: the GPU's period is the host's."""
    trace, thread = builder()
    for k in range(14):
        at = 1000 + 100 * k
        trace.nvtx(at * US, (at + 99) * US, f"Step {k}", thread=thread)
        trace.copy(
            (at + 1) * US, (at + 2) * US, (at + 20) * US, (at + 40) * US, bytes=1 << 20,
            src_kind=1, dst_kind=2, stream=13, thread=thread,
        )  # fmt: skip
        trace.launch((at + 5) * US, (at + 8) * US, (at + 110) * US, (at + 190) * US, thread=thread)
        trace.wait((at + 9) * US, (at + 95) * US, thread=thread)
    found = report(trace, tmp_path)
    assert not only(found).steady.by_ends
    assert steady(found)[:2] == (12, 100)


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([0, 1, 2, 3], [0, 0, 0, 0]),
        ([3, 4, 5, 6, 13, 14, 15], [0, 0, 0, 6, 0, 0, 0]),
        ([0, 10, 20, 40, 50], [0, 0, 1, 0, 0]),
        ([5, 4, 3], [0, 0, 0]),
        ([7], [0]),
        ([], []),
        ([1, 5, 7, 12, 20, 21], [0] * 6),
    ],
)
def test_what_numbers_tell(numbers: list[int], missing: list[int]) -> None:
    assert missing_after(np.array(numbers, np.int64)).tolist() == missing


def test_graphs_recorded_whole_count_as_kernels_where_only_kernels_do(tmp_path: Path) -> None:
    """20 graphs of 900 us, after every other one a kernel of 10."""
    trace, thread = builder()
    for k in range(20):
        at = 1000 * (k + 1)
        trace.nvtx(at * US, (at + 990) * US, f"Step {k}", thread=thread)
        call = trace.api(at * US, (at + 10) * US, "cudaGraphLaunch_v10000", thread=thread)
        trace.graph_trace(
            (at + 20) * US, (at + 920) * US, correlation=call, process=thread & ~0xFFFFFF
        )
        if k % 2 == 0:
            trace.launch(
                (at + 930) * US, (at + 935) * US, (at + 940) * US, (at + 950) * US, thread=thread
            )
    found = report(trace, tmp_path)
    rows = {d.name: d for d in found.details(0, Question(definitions=True)).definitions}
    assert (
        rows["kernels-only"].idle_ns
        == rows["harness"].idle_ns
        == (19_900 - 20 * 900 - 10 * 10) * US
    )


@pytest.mark.parametrize("steps", [1, 2])
def test_one_or_two_steps_are_given_between_their_own_edges(tmp_path: Path, steps: int) -> None:
    trace = loop(list(range(steps)))
    found = report(trace, tmp_path)
    series = only(found)
    assert series.steady is None
    few = series.own_edges
    assert few is not None
    # From 1,010 us to the end of the last kernel; the gap of 20 is the second step's.
    assert (few.steps, few.start_ns, few.end_ns) == (steps, 1010 * US, (990 + 100 * steps) * US)
    assert few.idle_ns * steps == 20 * US * (steps - 1)
    assert few.busy_ns == 80 * US
    assert series.idle_per_step is None
    assert verdict(found, "few-steps") == "degraded"
    assert "too few for a steady state" in said(found, "few-steps")
    same_in_parts(trace, tmp_path)
    row = dict(zip(*shown_row(found), strict=True))
    assert (row["steady_steps"], row["period_ns"]) == (steps, few.period_ns)
    assert row["gain_kind"] is None
    assert row["gain_ns"] is None
    assert any("no steady state" in line for line in overview(drawn(found)).notes)


def drawn(found: TraceReport) -> Report:
    return Report((found,), (), Question())


def shown_row(found: TraceReport) -> tuple[list[str], list[object]]:
    table = overview(drawn(found))
    (row,) = table.rows
    return [column.name for column in table.columns], list(row)


def test_three_steps_have_a_steady_state_of_one(tmp_path: Path) -> None:
    series = only(report(loop([0, 1, 2]), tmp_path))
    assert series.own_edges is None
    assert (series.steady.steps, series.steady.period_ns) == (1, 100 * US)


def test_a_step_that_the_window_cuts_has_no_figures_of_its_own(tmp_path: Path) -> None:
    trace = loop(list(range(20)))
    whole = report(trace, tmp_path, Question(start=1300 * US, end=1500 * US))
    assert only(whole).own_edges.steps == 2
    cut = report(trace, tmp_path, Question(start=1330 * US, end=1500 * US))
    assert len(only(cut).table) == 2
    assert (only(cut).steady, only(cut).own_edges) == (None, None)
    assert verdict(cut, "few-steps") == "invalid"


def test_two_steps_that_began_the_other_way_round(tmp_path: Path) -> None:
    trace, thread = builder()
    for k, start in ((0, 500), (1, 300)):
        at = 100 * (k + 1)
        trace.nvtx(at * US, (at + 90) * US, f"Step {k}", thread=thread)
        trace.launch(
            at * US, (at + 5) * US, start * US, (start + 50) * US, thread=thread, stream=7 + k
        )
    few = only(report(trace, tmp_path)).own_edges
    assert few is not None
    assert (few.start_ns, few.end_ns) == (300 * US, 550 * US)
    assert (few.period_ns, few.idle_ns) == (125 * US, 75 * US)
    same_in_parts(trace, tmp_path)
