"""Our GPU projection of ranges against NVIDIA's report, to the nanosecond.

Theirs takes work whose launch call lies wholly inside a range of its own thread. Each place where
ours sees more is one test.
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.idle.assign import find_steps
from harness.analysis.idle.steps import Steps
from harness.analysis.model.trace import Trace
from harness.analysis.question import DEFAULT_STEP, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.writer.writer import TraceBuilder

from .invented import invent
from .nvidia import NoData, Nsys, Projection

pytestmark = pytest.mark.nsys

Row = tuple[int, int, int, int, int, int, int]
"""pid, tid, host start, host end, projected start, projected end, launches."""


def ours(trace: Trace, steps: Steps, *, own_thread: bool = True) -> Counter[Row]:
    """Projection of every step that has GPU work, of its own thread's launches unless told."""
    rows: Counter[Row] = Counter()
    operations = trace.operations
    for series in steps.series:
        mine = series.step_of >= 0
        if own_thread:
            opened_by = series.thread_of[np.maximum(series.step_of, 0)]
            mine &= trace.calls.thread[operations.launch] == opened_by
        by_step: dict[int, list[int]] = {}
        for row in np.flatnonzero(mine).tolist():
            by_step.setdefault(int(series.step_of[row]), []).append(row)
        for step, work in by_step.items():
            rows[
                (
                    series.thread.pid,
                    trace.threads[series.thread_of[step]].tid,
                    int(series.start[step]),
                    int(series.end[step]),
                    int(operations.start[work].min()),
                    int(operations.end[work].max()),
                    len(set(operations.correlation[work].tolist())),
                )
            ] += 1
    return rows


def theirs(projections: list[Projection], name: re.Pattern[str]) -> Counter[Row]:
    return Counter(
        (p.pid, p.tid, p.host_start, p.host_end, p.start, p.end, p.launches)
        for p in projections
        if name.search(p.name)
    )


# Where the definitions coincide


@pytest.mark.parametrize("public_trace", ["power_iteration"], indirect=True)
def test_steps_of_a_real_export_project_the_same(nsys: Nsys, public_trace: Path) -> None:
    trace = open_trace(public_trace)
    mine = ours(trace, find_steps(trace, (StepPattern.glob("Step *"),)))
    assert mine == theirs(nsys.projections(public_trace), re.compile("^Step "))
    assert mine.total() == 44


@pytest.mark.parametrize(
    "public_trace",
    ["power_iteration", "h100_2gpu_copy_bound", "mpi_saxpy_old_schema"],
    indirect=True,
)
def test_every_kind_of_range_of_a_real_export_projects_the_same(
    nsys: Nsys, public_trace: Path
) -> None:
    """One pattern for each kind of name; numbers in names (`op_id = 314294`) stand for any."""
    trace = open_trace(public_trace)
    projections = nsys.projections(public_trace)
    kinds = sorted({re.sub(r"\d+", "0", p.name) for p in projections})
    compared = 0
    for kind in kinds:
        regex = re.sub("0+", r"\\d+", f"^{re.escape(kind)}$")
        # theirs prefixes names of a domain with it: "CCCL:cub::DeviceReduce::Sum"
        bare = re.sub(r"^\^CCCL:", "^", regex)
        mine = ours(trace, find_steps(trace, (StepPattern.of_regex(bare),)))
        their = theirs(projections, re.compile(regex))
        if _nested(their):
            continue  # ours takes the outermost of nested matches: see below
        assert mine == their, kind
        compared += len(their)
    assert compared >= 0.9 * len(projections) > 0


def _nested(rows: Counter[Row]) -> bool:
    by_thread = sorted((pid, tid, start, end) for pid, tid, start, end, *_ in rows)
    return any(a[:2] == b[:2] and b[2] < a[3] for a, b in pairwise(by_thread))


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("pattern", [r"^Step \d+$", "^inner$"])
def test_invented_traces_project_the_same(nsys: Nsys, seed: int, pattern: str) -> None:
    path = invent(seed, nsys.folder / "invented.sqlite")
    trace = open_trace(path)
    mine = ours(trace, find_steps(trace, (StepPattern.of_regex(pattern),)))
    assert mine == theirs(nsys.projections(path), re.compile(pattern))
    assert mine


@pytest.mark.parametrize("name", ["example-sync", "example-pipelined"])
def test_worked_examples_project_the_same(nsys: Nsys, name: str) -> None:
    path = Path(__file__).parents[2] / "traces" / f"{name}.sqlite"
    trace = open_trace(path)
    mine = ours(trace, find_steps(trace), own_thread=False)
    assert mine == theirs(nsys.projections(path), DEFAULT_STEP.regex)
    assert mine.total() == 20


# Where they differ


def one_step(nsys: Nsys, *, unclosed: bool = False, **range_options: object) -> TraceBuilder:
    """A thread with `Step 0` over [100, 1000) and one launch in it."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    thread = trace.thread(trace.process(1), 1)
    trace.nvtx(100, None if unclosed else 1_000, "Step 0", thread=thread, **range_options)  # type: ignore[arg-type]
    trace.launch(200, 250, 300, 400, thread=thread)
    return trace


def both(nsys: Nsys, trace: TraceBuilder) -> tuple[Steps, list[Interval], list[Interval]]:
    """Our steps, and the hulls of `Step 0` by us and by them."""
    path = nsys.folder / "t.sqlite"
    trace.write(path)
    loaded = open_trace(path)
    steps = find_steps(loaded)
    mine = [row[4:6] for row in ours(loaded, steps, own_thread=False).elements()]
    try:
        their = [(p.start, p.end) for p in nsys.projections(path)]
    except NoData:
        their = []
    return steps, mine, their


Interval = tuple[int, int]


def test_work_of_another_thread_is_lost_to_theirs_and_counted_by_ours(nsys: Nsys) -> None:
    trace = one_step(nsys)
    autograd = trace.thread(trace.process(1), 2, "autograd")
    trace.launch(500, 550, 600, 900, thread=autograd)
    steps, mine, their = both(nsys, trace)
    assert their == [(300, 400)]
    assert mine == [(300, 900)]
    assert steps.series[0].by_time == 1
    assert list(steps.series[0].other_threads.values()) == [1]


def test_a_range_closed_by_another_thread_is_unknown_to_theirs(nsys: Nsys) -> None:
    trace = one_step(nsys, start_end=True)
    other = trace.thread(trace.process(1), 2)
    trace.nvtx(2_000, 3_000, "Step 1", thread=other & ~0xFF | 1, start_end=True, end_thread=other)
    trace.launch(2_100, 2_200, 2_300, 2_400, thread=other)
    _, mine, their = both(nsys, trace)
    assert their == [(300, 400)]
    assert mine == [(300, 400), (2_300, 2_400)]


def test_a_start_end_range_of_one_thread_is_the_same_to_both(nsys: Nsys) -> None:
    _, mine, their = both(nsys, one_step(nsys, start_end=True))
    assert mine == their == [(300, 400)]


def test_a_call_that_outlasts_its_range_is_left_out_by_theirs(nsys: Nsys) -> None:
    trace = one_step(nsys, start_end=True)
    trace.launch(990, 1_010, 1_020, 1_100, thread=trace.thread(trace.process(1), 1))
    _, mine, their = both(nsys, trace)
    assert their == [(300, 400)]
    assert mine == [(300, 1_100)]


def test_an_unclosed_range_ends_with_the_last_range_in_theirs_and_the_last_event_in_ours(
    nsys: Nsys,
) -> None:
    trace = one_step(nsys, unclosed=True)
    thread = trace.thread(trace.process(1), 1)
    trace.nvtx(450, 500, "later", thread=thread)
    trace.launch(600, 650, 700, 800, thread=thread)
    _, mine, their = both(nsys, trace)
    assert their == [(300, 400)]
    assert mine == [(300, 800)]


def test_graph_launches_are_unknown_to_theirs(nsys: Nsys) -> None:
    trace = one_step(nsys)
    thread = trace.thread(trace.process(1), 1)
    correlation = trace.api(500, 550, "cudaGraphLaunch_v10000", thread=thread)
    trace.graph_trace(600, 900, correlation=correlation, process=trace.process(1))
    _, mine, their = both(nsys, trace)
    assert their == [(300, 400)]
    assert mine == [(300, 900)]


def test_nested_matches_are_all_theirs_and_the_outermost_is_ours(nsys: Nsys) -> None:
    trace = one_step(nsys)
    trace.nvtx(150, 950, "Step 0", thread=trace.thread(trace.process(1), 1))
    _, mine, their = both(nsys, trace)
    assert their == [(300, 400), (300, 400)]
    assert mine == [(300, 400)]


def test_a_step_without_gpu_work_is_a_step_to_ours_and_nothing_to_theirs(nsys: Nsys) -> None:
    trace = one_step(nsys)
    trace.nvtx(1_100, 1_200, "Step 1", thread=trace.thread(trace.process(1), 1))
    steps, mine, their = both(nsys, trace)
    assert mine == their == [(300, 400)]
    assert [len(series) for series in steps.series] == [2]


def test_launches_outside_every_range_are_in_no_row_of_theirs_and_unassigned_in_ours(
    nsys: Nsys,
) -> None:
    trace = one_step(nsys)
    trace.launch(1_500, 1_550, 1_600, 1_700, thread=trace.thread(trace.process(1), 1))
    steps, mine, their = both(nsys, trace)
    assert mine == their == [(300, 400)]
    assert steps.unassigned == 1


@pytest.mark.parametrize("public_trace", ["graph_level"], indirect=True)
def test_a_trace_without_ranges_has_no_projection_and_no_steps(
    nsys: Nsys, public_trace: Path
) -> None:
    with pytest.raises(NoData, match="NVTX"):
        nsys.projections(public_trace)
    assert find_steps(open_trace(public_trace)).series == ()
