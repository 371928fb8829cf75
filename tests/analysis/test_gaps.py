"""Gaps against a brute-force oracle, and the cases that other tools get wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.analyze import analyze
from harness.analysis.question import Question

from .build import US, builder, decode_loop, report

rows = st.lists(
    st.tuples(st.integers(1, 40), st.integers(0, 8), st.integers(0, 1), st.integers(1, 3)),
    min_size=1,
    max_size=15,
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows, st.booleans())
def test_gaps_are_the_maximal_idle_stretches(tmp_path: Path, given_rows, reverse: bool) -> None:
    trace, thread = builder()
    trace.device(1, name="Test GPU", uuid="00000000-0000-0000-0000-000000000002")
    lines = {0: np.zeros(60, np.bool_), 1: np.zeros(60, np.bool_)}
    for start, length, device, stream in reversed(given_rows) if reverse else given_rows:
        if length:
            trace.launch(0, 1, start, start + length, thread=thread, device=device, stream=stream)
            lines[device][start : start + length] = True
    path = tmp_path / "t.sqlite"
    trace.write(path, force=True)
    for found in analyze(path).gaps if any(x.any() for x in lines.values()) else ():
        line = lines[found.device.ordinal]
        cells = np.flatnonzero(line)
        lo, hi = int(cells[0]), int(cells[-1]) + 1
        edges = np.flatnonzero(np.diff(line[lo:hi].astype(int)))
        expected = [(lo + int(a) + 1, lo + int(b) + 1) for a, b in edges.reshape(-1, 2)]
        assert list(zip(found.start.tolist(), found.end.tolist(), strict=True)) == expected
        assert found.busy_ns == len(cells)
        assert (found.window_start, found.window_end) == (lo, hi)


def test_overlapping_streams_need_the_running_maximum(tmp_path: Path) -> None:
    """LAG(end) would see idle time from 20 to 30, under the long kernel."""
    trace, thread = builder()
    trace.launch(0, 1, 10 * US, 50 * US, thread=thread, stream=7)
    trace.launch(0, 1, 12 * US, 20 * US, thread=thread, stream=13)
    trace.launch(0, 1, 30 * US, 40 * US, thread=thread, stream=13)
    trace.launch(0, 1, 60 * US, 70 * US, thread=thread, stream=13)
    found = report(trace, tmp_path)
    assert found.devices[0].idle_ns == 10 * US
    # The gap follows the operation that ended last, not the one that started last.
    assert int(found.gaps[0].before[0]) == 0


def test_asynchronous_steps_whose_hulls_overlap_still_show_their_gap_once(tmp_path: Path) -> None:
    """Step 1's first kernel runs before step 0's last one: hull arithmetic would lose the gaps."""
    trace, thread = builder()
    for step in range(4):
        trace.nvtx(step * 10 * US, (step * 10 + 9) * US, f"Step {step}", thread=thread)
    begin = 100
    for step in range(4):
        at = step * 100
        trace.launch((step * 10 + 1) * US, (step * 10 + 2) * US, (begin + at) * US,
                     (begin + at + 10) * US, thread=thread, stream=7)  # fmt: skip
        # The step's late kernel runs inside the next step's projection.
        trace.launch((step * 10 + 3) * US, (step * 10 + 4) * US, (begin + at + 120) * US,
                     (begin + at + 130) * US, thread=thread, stream=13)  # fmt: skip
    found = report(trace, tmp_path)
    (series,) = found.series
    assert series.hull_overlap_ns == 3 * 30 * US
    # 110-200, then 10 us inside and 70 us between twice over, and 430-520 before the last one.
    assert found.devices[0].idle_ns == (90 + 3 * 10 + 2 * 70 + 90) * US
    assert series.inter_ns + series.intra_ns == found.devices[0].idle_ns


def test_a_gap_belongs_to_the_step_after_it(tmp_path: Path) -> None:
    found = report(decode_loop(delay={5: 500}), tmp_path)
    idle = found.series[0].table.idle
    usual = int(idle[4])
    assert int(idle[5]) == usual + 500 * US
    assert [int(x) for x in idle[6:]] == [usual] * 8


def test_windows(tmp_path: Path) -> None:
    trace, thread = builder()
    for start in (10, 30, 50):
        trace.launch(0, 1, start * US, (start + 10) * US, thread=thread)
    trace.duration(100 * US)

    def idle(**window: object) -> tuple[int, int]:
        (device,) = report(trace, tmp_path, Question(**window)).devices
        return device.window_ns // US, device.idle_ns // US

    assert idle() == (50, 20)
    assert idle(capture=True) == (100, 70)
    assert idle(start=15 * US, end=35 * US) == (20, 10)
    assert idle(start=20 * US) == (40, 20)
    assert idle(start=0, end=10_000 * US) == (50, 20)  # a window cuts, and never extends
    assert idle(start=0, end=10_000 * US, capture=True) == (100, 70)
    assert idle(start=5 * US, capture=True) == (95, 65)


def test_boundary_gaps_are_their_own_kind(tmp_path: Path) -> None:
    trace = decode_loop()
    trace.duration(100_000 * US)
    found = report(trace, tmp_path, Question(capture=True))
    (series,) = found.series
    assert series.boundary_ns > 0
    total = series.inter_ns + series.intra_ns + series.unassigned_ns + series.boundary_ns
    assert total == found.devices[0].idle_ns


def test_narrowing_to_steps_keeps_their_figures(tmp_path: Path) -> None:
    whole = report(decode_loop(delay={5: 500}), tmp_path)
    part = report(decode_loop(delay={5: 500}), tmp_path, Question(steps=(3, 9)))
    assert part.series[0].table.number.tolist() == [3, 4, 5, 6, 7, 8]
    assert part.series[0].table.idle[1:].tolist() == whole.series[0].table.idle[4:9].tolist()


def test_two_processes_on_one_device_share_its_busy_time(tmp_path: Path) -> None:
    """NVIDIA's rule works per process and would call each one idle while the other works."""
    trace, first = builder()
    second = trace.thread(trace.process(200, "python"), 200, "MainThread")
    trace.device(name="Test GPU", uuid="00000000-0000-0000-0000-000000000001", pid=200)
    for k in range(4):
        trace.launch(0, 1, k * 20 * US + 1, (k * 20 + 10) * US, thread=first)
        trace.launch(0, 1, (k * 20 + 10) * US, (k * 20 + 20) * US, thread=second)
    found = report(trace, tmp_path)
    (device,) = found.devices
    assert device.idle_ns == 3  # the first kernels start 1 ns late
