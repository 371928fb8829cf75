"""The chronology of idle time, per-step figures, and scenes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.model.flag_waits import FLAG
from harness.analysis.scenes.compose import scene_of
from harness.analysis.scenes.moments import figures_of, step_moment, telling_moments
from harness.analysis.scenes.scene import Lane, coverage, fitted, span_count
from harness.analysis.scenes.states import gap_states

from ..analysis.test_flag_waits import KERNELS, on_two_gpus
from ..conftest import ROOT
from .build import US, analyzed, loop

EXAMPLE = ROOT / "traces" / "example-sync.sqlite"


def test_states_of_the_worked_example_stand_where_its_readme_says() -> None:
    """The 51 us between two steps: sync, host, sync, host, launch, queue (traces/README.md)."""
    report = analyze(EXAMPLE)
    gaps, split = report.gaps[0], report.attributions[0]
    gap = int(np.flatnonzero(gaps.length == 51 * US)[0])
    states = gap_states(report.trace, gaps, split, np.array([gap]))
    start = int(gaps.start[gap])
    told = [
        (split.causes[int(c)].name, int(a - start) // US, int(b - start) // US)
        for a, b, c in zip(states.start, states.end, states.cause, strict=True)
    ]
    assert told == [
        ("sync", 0, 3),
        ("host", 3, 5),
        ("sync", 5, 7),
        ("host", 7, 43),
        ("launch", 43, 48),
        ("queue", 48, 51),
    ]


@pytest.mark.parametrize("name", ["power_iteration", "h100_2gpu_copy_bound", "graph_level"])
def test_states_tile_every_gap_of_real_traces(public_traces: Path, name: str) -> None:
    report = analyze(public_traces / f"{name}.sqlite")
    for gaps, split in zip(report.gaps, report.attributions, strict=True):
        states = gap_states(report.trace, gaps, split)
        first = np.flatnonzero(np.diff(states.gap, prepend=-1))
        assert np.array_equal(states.start[first], gaps.start)
        assert np.array_equal(states.end[np.append(first[1:], len(states)) - 1], gaps.end)
        inside = np.ones(len(states), bool)
        inside[first] = False
        assert np.array_equal(states.start[inside], states.end[:-1][inside[1:]])


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=25, deadline=None)
def test_states_of_some_gaps_are_those_of_all_gaps(seed: int) -> None:
    report = analyze(EXAMPLE)
    gaps, split = report.gaps[0], report.attributions[0]
    rng = np.random.default_rng(seed)
    chosen = np.flatnonzero(rng.random(len(gaps)) < 0.1)
    some = gap_states(report.trace, gaps, split, chosen)
    every = gap_states(report.trace, gaps, split)
    mine = np.isin(every.gap, chosen)
    for name in ("gap", "start", "end", "cause"):
        assert np.array_equal(getattr(some, name), getattr(every, name)[mine])


def test_periods_sum_to_the_steady_window_and_causes_to_the_idle_time(tmp_path: Path) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite")).traces[0]
    summary = report.series[0]
    figures = figures_of(report, summary)
    assert summary.steady is not None
    assert figures.period[figures.steady].mean() == summary.steady.period_ns
    assert np.array_equal(figures.idle, summary.table.idle)
    assert np.array_equal(figures.by_cause.sum(axis=0), figures.idle)
    assert figures.period[-1] == -1
    assert not figures.steady[[0, -1]].any()
    assert figures.steady[1:-1].all()


def test_the_median_and_the_worst_gap_are_chosen(tmp_path: Path) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite", slow=9)).traces[0]
    median, worst = telling_moments(report, report.series[0])
    assert (worst.kind, worst.step) == ("worst", 9)
    assert worst.gap_ns - median.gap_ns == 80 * US
    assert sum(part.ns for part in worst.scene.parts) == worst.gap_ns
    focus = next(gap for gap in worst.scene.gaps if gap.focus)
    assert (focus.end - focus.start) == worst.gap_ns
    assert worst.scene.start < focus.start < focus.end < worst.scene.end


def test_a_scene_holds_all_lanes_and_its_gap_is_told_apart(tmp_path: Path) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite")).traces[0]
    scene = step_moment(report, report.series[0], 5).scene
    assert [lane.title for lane in scene.lanes] == [
        "python 1000 · NVTX",
        "python 1000 · CUDA API",
        "stream 7",
        "GPU 0 busy",
        "idle, by cause",
    ]
    ranges = scene.lanes[0]
    named = {ranges.labels[k]: int(r) for k, r in zip(ranges.label, ranges.row, strict=True)}
    assert named["Step 5"] == 0
    assert named["Model Forward"] == 1
    assert scene.drained_by == "Step * · cudaStreamSynchronize"


def test_idle_time_in_which_no_call_waits_is_told(tmp_path: Path) -> None:
    on_two_gpus().write(tmp_path / "t.sqlite")
    report = analyzed(tmp_path / "t.sqlite").traces[0]
    second = next(one for one in report.series if one.device == 1)
    scene = step_moment(report, second, 5).scene
    (part,) = (part for part in scene.parts if part.cause == "sync")
    assert (part.what, part.ns) == (FLAG, (KERNELS[5] + 1) * US)


def test_a_missing_step_names_those_there_are(tmp_path: Path) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite")).traces[0]
    with pytest.raises(Exception, match=r"has no step 99; it has steps 0\.\.13"):
        step_moment(report, report.series[0], 99)


def _lane(start: list[int], end: list[int]) -> Lane:
    n = len(start)
    zero = np.zeros(n, np.int64)
    return Lane(
        "t", "gpu", "stream", np.array(start, np.int64), np.array(end, np.int64), zero, zero, zero,
        np.ones(n, np.int64), ("k",), ("kernel",),
    )  # fmt: skip


@given(
    edges=st.lists(st.integers(0, 10_000), min_size=2, max_size=60, unique=True),
    cells=st.integers(1, 90),
    window=st.tuples(st.integers(0, 5000), st.integers(5001, 10_000)),
)
def test_coverage_of_all_cells_is_what_the_spans_cover(
    edges: list[int], cells: int, window: tuple[int, int]
) -> None:
    edges = sorted(edges)[: len(edges) // 2 * 2]
    start, end = edges[::2], edges[1::2]
    low, high = window
    expected = sum(max(0, min(b, high) - max(a, low)) for a, b in zip(start, end, strict=True))
    covered = coverage(_lane(start, end), low, high, cells)
    assert int(covered.sum()) == expected
    assert (covered >= 0).all()


def test_coverage_of_a_window_of_years() -> None:
    long = 2**60
    assert coverage(_lane([0], [long]), 0, long, 1024).tolist() == [2**50] * 1024


def test_fitted_scenes_keep_their_extent_and_say_how_many_spans_they_stand_for(
    tmp_path: Path,
) -> None:
    report = analyzed(loop(tmp_path / "a.sqlite", steps=60)).traces[0]
    gaps = report.gaps[0]
    scene = scene_of(report, 0, gaps.window_start, gaps.window_end)
    small = fitted(scene, 80)
    assert span_count(small) < span_count(scene)
    for full, thin in zip(scene.lanes, small.lanes, strict=True):
        assert int(thin.count.sum()) == int(full.count.sum())
        assert int(thin.start.min()) == int(full.start.min())
        assert int(thin.end.max()) == int(full.end.max())
