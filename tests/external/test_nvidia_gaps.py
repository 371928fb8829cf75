"""Our device idle against NVIDIA's gaps rule: the same to the nanosecond, or else for a reason.

Each reason is one test. Where both look at one device used by one process, at kernels, copies and
memsets, and at rows with start > 0, nothing may differ.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from random import Random

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.writer.writer import TraceBuilder

from .invented import invent
from .nvidia import Gap, Nsys

pytestmark = pytest.mark.nsys

Interval = tuple[int, int]


def ours(path: Path, question: Question | None = None) -> dict[int, set[Interval]]:
    """Idle intervals by device ordinal, for traces in which ordinals name one GPU each."""
    found = {}
    for gaps in analyze(path, question).gaps:
        assert gaps.device.ordinal not in found
        found[gaps.device.ordinal] = set(zip(gaps.start.tolist(), gaps.end.tolist(), strict=True))
    return found


def theirs(gaps: set[Gap]) -> dict[int, set[Interval]]:
    found: dict[int, set[Interval]] = {}
    for gap in gaps:
        found.setdefault(gap.device, set()).add((gap.start, gap.end))
    return found


def one_gpu(path: Path, work: list[Interval], **options: bool) -> TraceBuilder:
    """A builder with one process, one GPU and a kernel for each interval; also written to path."""
    trace = TraceBuilder(producer="builder", origin="synthetic", **options)
    process = trace.process(100)
    trace.thread(process, 100)
    trace.device(0, name="GPU", uuid="uuid-0")
    for number, (start, end) in enumerate(work, 1):
        trace.kernel(start, end, name="k", correlation=number, process=process)
    trace.write(path)
    return trace


# Where the definitions coincide


@pytest.mark.parametrize(
    ("public_trace", "devices", "idle_ns"),
    [
        ("power_iteration", 1, 658_549_185),
        ("h100_2gpu_copy_bound", 2, 6_557_358 + 6_447_873),
        ("mpi_saxpy_old_schema", 1, 724_054_763),
    ],
    indirect=["public_trace"],
)
def test_real_exports_have_the_same_gaps(
    nsys: Nsys, public_trace: Path, devices: int, idle_ns: int
) -> None:
    mine = ours(public_trace)
    assert mine == theirs(nsys.gaps(public_trace))
    assert len(mine) == devices
    assert sum(end - start for gaps in mine.values() for start, end in gaps) == idle_ns


@pytest.mark.parametrize(
    "public_trace",
    ["power_iteration", "h100_2gpu_copy_bound", "mpi_saxpy_old_schema"],
    indirect=True,
)
def test_the_command_prints_the_sums_of_their_gaps(nsys: Nsys, public_trace: Path) -> None:
    command = [sys.executable, "-m", "harness", "gaps", str(public_trace), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    (trace,) = json.loads(done.stdout)["traces"]
    printed = {d["device"]: (d["gap_count"], d["idle_ns"]) for d in trace["devices"]}
    assert printed == {
        device: (len(gaps), sum(end - start for start, end in gaps))
        for device, gaps in theirs(nsys.gaps(public_trace)).items()
    }


@pytest.mark.parametrize("seed", range(12))
def test_invented_traces_have_the_same_gaps(nsys: Nsys, seed: int) -> None:
    path = invent(seed, nsys.folder / "invented.sqlite")
    mine = {device: gaps for device, gaps in ours(path).items() if gaps}
    assert mine == theirs(nsys.gaps(path))
    assert mine


@pytest.mark.parametrize("name", ["example-sync", "example-pipelined"])
def test_worked_examples_have_the_same_gaps(nsys: Nsys, name: str) -> None:
    path = Path(__file__).parents[2] / "traces" / f"{name}.sqlite"
    assert ours(path) == theirs(nsys.gaps(path))


def test_streams_that_overlap_leave_no_gap(nsys: Nsys) -> None:
    path = nsys.folder / "t.sqlite"
    one_gpu(path, [(100, 900), (200, 300), (250, 400), (1_000, 1_100)])
    assert ours(path) == theirs(nsys.gaps(path)) == {0: {(900, 1_000)}}


# Where they differ


def test_a_gpu_shared_by_processes_is_split_by_theirs_and_joined_by_ours(nsys: Nsys) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    trace.device(0, name="GPU", uuid="one-gpu")
    for pid, work in ((100, [(100, 200), (400, 500)]), (200, [(200, 400), (550, 600)])):
        process = trace.process(pid)
        trace.thread(process, pid)
        for number, (start, end) in enumerate(work):
            trace.kernel(start, end, name="k", correlation=number, process=process)
    path = nsys.folder / "t.sqlite"
    trace.write(path)
    assert nsys.gaps(path) == {Gap(100, 0, 200, 400), Gap(200, 0, 400, 550)}
    assert ours(path) == {0: {(500, 550)}}


def test_graph_launches_are_idle_in_theirs_and_busy_in_ours(nsys: Nsys) -> None:
    path = nsys.folder / "t.sqlite"
    trace = one_gpu(path, [(100, 200), (900, 950)])
    trace.graph_trace(300, 800, correlation=9, process=trace.process(100))
    trace.write(path, force=True)
    assert theirs(nsys.gaps(path)) == {0: {(200, 900)}}
    assert ours(path) == {0: {(200, 300), (800, 900)}}


@pytest.mark.parametrize("public_trace", ["graph_level"], indirect=True)
def test_graph_launches_at_the_end_are_outside_their_span(nsys: Nsys, public_trace: Path) -> None:
    mine, their = ours(public_trace)[0], theirs(nsys.gaps(public_trace))[0]
    assert mine - their == {(339_329_732, 339_410_404), (339_412_132, 339_416_612)}
    assert their - mine == set()


@pytest.mark.parametrize(
    "name", ["CUDA profiling data flush overhead", "CUDA profiling stop overhead"]
)
def test_profiler_overhead_is_busy_in_theirs_and_a_cause_of_idle_in_ours(
    nsys: Nsys, name: str
) -> None:
    path = nsys.folder / "t.sqlite"
    trace = one_gpu(path, [(100, 200), (900, 950)])
    trace.overhead(300, 500, name, thread=trace.thread(trace.process(100), 100))
    trace.write(path, force=True)
    assert theirs(nsys.gaps(path)) == {0: {(200, 300), (500, 900)}}
    assert ours(path) == {0: {(200, 900)}}


def test_other_profiler_overhead_is_nothing_to_either(nsys: Nsys) -> None:
    path = nsys.folder / "t.sqlite"
    trace = one_gpu(path, [(100, 200), (900, 950)])
    thread = trace.thread(trace.process(100), 100)
    trace.overhead(300, 500, "Installing CUDA injection", thread=thread)
    trace.write(path, force=True)
    assert ours(path) == theirs(nsys.gaps(path)) == {0: {(200, 900)}}


def test_work_that_starts_at_time_zero_is_dropped_by_theirs(nsys: Nsys) -> None:
    path = nsys.folder / "t.sqlite"
    one_gpu(path, [(0, 500), (600, 700), (900, 950)])
    assert theirs(nsys.gaps(path)) == {0: {(700, 900)}}
    assert ours(path) == {0: {(500, 600), (700, 900)}}


def test_an_empty_row_splits_a_gap_in_theirs_and_is_dropped_by_ours(nsys: Nsys) -> None:
    path = nsys.folder / "t.sqlite"
    one_gpu(path, [(100, 200), (500, 500), (900, 950)])
    assert theirs(nsys.gaps(path)) == {0: {(200, 500), (500, 900)}}
    assert ours(path) == {0: {(200, 900)}}


def test_their_threshold_is_whole_milliseconds_and_strict(nsys: Nsys) -> None:
    """0 keeps every gap, so no comparison here needs a changed copy of their query."""
    path = nsys.folder / "t.sqlite"
    ms = 1_000_000
    one_gpu(path, [(1, 10), (10 + ms, 20 + ms), (21 + 2 * ms, 30 + 2 * ms)])
    exactly, longer = (10, 10 + ms), (20 + ms, 21 + 2 * ms)
    assert theirs(nsys.gaps(path, gap_ms=1)) == {0: {longer}}
    assert ours(path) == theirs(nsys.gaps(path, gap_ms=0)) == {0: {exactly, longer}}


def test_idle_at_the_edges_of_the_capture_is_never_theirs_and_ours_on_request(nsys: Nsys) -> None:
    path = nsys.folder / "t.sqlite"
    trace = one_gpu(path, [(100, 200), (300, 400)])
    trace.duration(1_000)
    trace.write(path, force=True)
    assert ours(path) == theirs(nsys.gaps(path)) == {0: {(200, 300)}}
    assert ours(path, Question(capture=True)) == {0: {(0, 100), (200, 300), (400, 1_000)}}


# The row of `--definitions` that carries their name


def their_row(path: Path) -> tuple[int, int]:
    """(gaps, idle ns) of the definition `nsys-gpu-gaps`, all devices together."""
    report, wanted = analyze(path), Question(definitions=True)
    rows = [
        one
        for device in range(len(report.devices))
        for one in report.details(device, wanted).definitions
        if one.name == "nsys-gpu-gaps"
    ]
    return sum(row.gaps for row in rows), sum(row.idle_ns for row in rows)


def total(gaps: set[Gap]) -> tuple[int, int]:
    return len(gaps), sum(gap.end - gap.start for gap in gaps)


@pytest.mark.parametrize(
    "public_trace",
    ["power_iteration", "h100_2gpu_copy_bound", "graph_level", "mpi_saxpy_old_schema"],
    indirect=True,
)
def test_the_definition_with_their_name_is_theirs_on_real_exports(
    nsys: Nsys, public_trace: Path
) -> None:
    assert their_row(public_trace) == total(nsys.gaps(public_trace))


@pytest.mark.parametrize("seed", range(4))
def test_the_definition_with_their_name_is_theirs_wherever_ours_is_not(
    nsys: Nsys, seed: int
) -> None:
    """A GPU shared by two processes, graphs recorded whole, flushes of either, a start of 0."""
    random = Random(seed)
    trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
    trace.device(0, name="GPU", uuid="one-gpu")
    for pid in (100, 200):
        process = trace.process(pid)
        thread = trace.thread(process, pid)
        at = 0
        for number in range(1, 40):
            length = random.randrange(1, 90)
            kind = random.randrange(6)
            if kind == 0:
                trace.graph_trace(at, at + length, correlation=number, process=process)
            elif kind == 1:
                name = random.choice(
                    ("CUDA profiling data flush overhead", "CUDA profiling stop overhead", "Other")
                )
                trace.overhead(at, at + length, name, thread=thread)
            else:
                trace.kernel(at, at + length, name="k", correlation=number, process=process)
            at += random.choice((0, length, length + 50))
    path = nsys.folder / "t.sqlite"
    trace.write(path)
    assert their_row(path) == total(nsys.gaps(path))
