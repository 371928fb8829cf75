"""Figures at their thresholds and edges: one below, one at, one above."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.idle.figures import Steady, limiter_of
from harness.analysis.model.names import operation_name
from harness.analysis.question import Question, StepPattern
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Report
from harness.analysis.reports.tables import pooled
from harness.analysis.statistics.quantiles import Quantiles
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, decode_loop, report, verdict

# The limiter and what could be won


@pytest.mark.parametrize(
    ("device", "host", "drained", "launching", "limiter"),
    [
        (90, 0, 0.0, 1.0, "gpu"), (89, 0, 0.0, 1.0, "mixed"), (90, 95, 1.0, 1.0, "gpu"),
        (89, 90, 1.0, 0.5, "launch"), (89, 90, 1.0, 0.49, "sync"), (89, 90, 0.0, 0.49, "mixed"),
        (89, 89, 0.5, 1.0, "sync"), (89, 89, 0.49, 1.0, "mixed"),
    ],
)  # fmt: skip
def test_limiter(
    device: float, host: float, drained: float, launching: float, limiter: str
) -> None:
    assert limiter_of(100.0, device, host, drained, launching) == limiter


def steady_of(trace: TraceBuilder, folder: Path) -> Steady:
    (series,) = report(trace, folder).series
    assert series.steady is not None
    return series.steady


def far_ahead(queue_full: int = 0) -> TraceBuilder:
    """20 steps of 120 us: 20 launches of 4 us, 2 us apart, and kernels of 5 us, 1 us apart, that
    begin 10 ms later. `queue_full`: so much of each launch waits for room, us."""
    trace, thread = builder()
    for step in range(20):
        base = 120 * step
        trace.nvtx(base * US, (base + 119) * US, f"Step {step}", thread=thread)
        for k in range(20):
            at, gpu = base + 6 * k, 10_000 + base + 6 * k
            trace.launch(at * US, (at + 4) * US, gpu * US, (gpu + 5) * US, thread=thread)
            if queue_full:
                trace.overhead(
                    (at + 4 - queue_full) * US, (at + 4) * US, "Command Buffer Full", thread=thread
                )
    return trace


def test_where_the_host_is_ahead_the_idle_time_is_the_devices(tmp_path: Path) -> None:
    steady = steady_of(far_ahead(), tmp_path)
    assert (steady.busy_ns, steady.idle_ns) == (100 * US, 20 * US)
    assert (steady.limiter, steady.recoverable_ns) == ("gpu", 0)


def test_waiting_for_room_in_the_queue_is_no_work(tmp_path: Path) -> None:
    assert steady_of(far_ahead(), tmp_path).host_ns == 120 * US
    steady = steady_of(far_ahead(queue_full=3), tmp_path)
    assert steady.host_ns == (120 - 20 * 3) * US
    assert (steady.limiter, steady.recoverable_ns) == ("gpu", 0)


def test_gaps_between_the_nodes_of_a_graph_are_the_devices(tmp_path: Path) -> None:
    """The host launches graph after graph and never waits: 30 nodes of 5 us, 1 us apart."""
    trace, thread = builder()
    for step in range(20):
        base = 190 * step
        trace.nvtx(base * US, (base + 189) * US, f"Step {step}", thread=thread)
        call = trace.api(base * US, (base + 40) * US, "cudaGraphLaunch_v10000", thread=thread)
        for k in range(30):
            at = base + 200 + 6 * k
            trace.kernel(at * US, (at + 5) * US, name="node", correlation=call,
                         process=thread & ~0xFFFFFF)  # fmt: skip
    steady = steady_of(trace, tmp_path)
    assert (steady.period_ns, steady.busy_ns) == (190 * US, 150 * US)
    assert (steady.limiter, steady.recoverable_ns) == ("gpu", 0)


def test_a_launch_that_has_just_been_made_is_not_ahead(tmp_path: Path) -> None:
    """Kernels of 4 us, launched every 5 us, each starting 6 us after its call began: no gap is
    longer than the launch's latency, and yet the host is what they wait for."""
    trace, thread = builder()
    for step in range(20):
        for k in range(20):
            at = 100 * step + 5 * k
            trace.launch(
                at * US, (at + 3) * US, (at + 6) * US, (at + 10) * US, thread=thread
            )  # fmt: skip
        trace.nvtx(100 * step * US, (100 * step + 99) * US, f"Step {step}", thread=thread)
    steady = steady_of(trace, tmp_path)
    assert (steady.busy_ns, steady.causes["queue"]) == (80 * US, 20 * US)
    assert steady.limiter == "mixed"


def test_threads_that_launch_in_turn_wait_for_the_gpu_together(tmp_path: Path) -> None:
    """Forward on the main thread, backward on autograd's, which launches more; the main thread
    waits from 20 to 85 of 100 us."""
    trace, main = builder()
    autograd = trace.thread(main & ~0xFFFFFF, 101, "pt_autograd_0")
    for step in range(14):
        at = step * 100 * US
        trace.nvtx(at, at + 99 * US, f"Step {step}", thread=main)
        trace.launch(at, at + 5 * US, at + 8 * US, at + 20 * US, thread=main)
        trace.launch(at + 10 * US, at + 15 * US, at + 21 * US, at + 80 * US, thread=autograd)
        trace.wait(at + 20 * US, at + 85 * US, thread=main)
    steady = steady_of(trace, tmp_path)
    assert steady.host_ns == 35 * US
    assert (steady.limiter, steady.recoverable_ns) == ("sync", 29 * US)


def test_a_thread_that_copies_now_and_then_is_no_launcher(tmp_path: Path) -> None:
    trace, main = builder()
    loader = trace.thread(main & ~0xFFFFFF, 101, "loader")
    for step in range(14):
        at = step * 100 * US
        trace.nvtx(at, at + 99 * US, f"Step {step}", thread=main)
        trace.launch(at, at + 5 * US, at + 8 * US, at + 68 * US, thread=main)
        trace.launch(at + 10 * US, at + 15 * US, at + 30 * US, at + 32 * US, thread=loader)
        trace.wait(at + 15 * US, at + 95 * US, thread=loader)
    assert steady_of(trace, tmp_path).host_ns == 100 * US


def test_host_time_is_that_of_the_thread_that_launches(tmp_path: Path) -> None:
    """The ranges are one thread's, which never waits; another launches, and waits 70 of 100 us."""
    trace, main = builder()
    worker = trace.thread(main & ~0xFFFFFF, 101, "worker")
    for step in range(14):
        at = step * 100 * US
        trace.nvtx(at, at + 99 * US, f"Step {step}", thread=main)
        trace.launch(at + 5 * US, at + 8 * US, at + 10 * US, at + 75 * US, thread=worker)
        trace.wait(at + 10 * US, at + 80 * US, thread=worker)
    steady = steady_of(trace, tmp_path)
    assert steady.host_ns == 30 * US
    assert (steady.limiter, steady.recoverable_ns) == ("sync", 35 * US)


def test_host_time_is_wall_time_less_synchronising_calls(tmp_path: Path) -> None:
    """Steps of 100 us on the host, 30 of them in a wait; the GPU works 20: launching limits."""
    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "other")
    for k in range(14):
        at = k * 100 * US
        trace.nvtx(at, at + 90 * US, f"Step {k}", thread=thread)
        trace.launch(at, at + US, at + 5 * US, at + 25 * US, thread=thread)
        trace.wait(at + 10 * US, at + 40 * US, thread=thread)
        trace.wait(at, at + 99 * US, thread=other)  # another thread's waits are its own
    (series,) = report(trace, tmp_path).series
    steady = series.steady
    assert steady is not None
    assert (steady.period_ns, steady.busy_ns, steady.host_ns) == (100 * US, 20 * US, 70 * US)
    assert steady.recoverable_ns == 30 * US
    assert steady.limiter == "sync"


def test_steps_without_gpu_work_do_not_dilute_the_host_time(tmp_path: Path) -> None:
    """Every second step launches nothing: neither its time nor the step counts."""
    trace, thread = builder()
    for k in range(29):
        at = k * 100 * US
        trace.nvtx(at, at + 90 * US, f"Step {k}", thread=thread)
        if k % 2 == 0:
            trace.launch(at, at + US, at + 5 * US, at + 25 * US, thread=thread)
    (series,) = report(trace, tmp_path).series
    assert series.steady is not None
    assert series.steady.steps == 13
    assert (series.steady.period_ns, series.steady.host_ns) == (100 * US, 100 * US)
    assert series.steady.limiter == "launch"
    assert len(series.dead_steps) == 14


def test_interior_quantiles_leave_the_edges_out(tmp_path: Path) -> None:
    found = report(decode_loop(delay={1: 400, 5: 100, 13: 900}), tmp_path)
    (series,) = found.series
    plain = report(decode_loop(), tmp_path).series[0]
    assert plain.idle_per_step is not None
    usual = plain.idle_per_step.p50_ns
    assert series.idle_per_step is not None
    assert series.idle_per_step.count == 12
    assert series.idle_per_step.max_ns == usual + 400 * US  # step 13's 900 us are the last step's
    assert series.steady is not None
    assert series.steady.idle_ns == pytest.approx(series.idle_per_step.mean_ns)
    host = found.host[0]
    assert host.duration is not None
    assert host.period is not None
    assert (host.duration.count, host.period.count) == (12, 12)


def test_quantiles_are_those_of_pandas() -> None:
    q = Quantiles.of(np.arange(101, dtype=np.int64) ** 2)
    assert q is not None
    assert (q.p50_ns, q.p95_ns, q.p99_ns, q.max_ns) == (2500, 9025, 9801, 10000)
    q = Quantiles.of(np.array([0, 10], np.int64))
    assert q is not None
    assert (q.p50_ns, q.p95_ns, q.p99_ns) == (5.0, 9.5, 9.9)


def test_pooled_figures_weigh_traces_by_their_steps(tmp_path: Path) -> None:
    few = report(decode_loop(4, kernel_us=100), tmp_path)
    (tmp_path / "b").mkdir()
    many = report(decode_loop(22, kernel_us=400), tmp_path / "b")
    table = pooled(Report((few, many)))
    row = dict(zip([c.name for c in table.columns], table.rows[0], strict=True))
    steadies = [t.series[0].steady for t in (few, many)]
    assert [s.steps for s in steadies if s] == [2, 20]
    expected = sum(s.period_ns * s.steps for s in steadies if s) / 22
    assert row["steady_steps"] == 22
    assert row["traces"] == 2
    assert row["period_ns"] == pytest.approx(expected)
    assert row["busy_ns"] + row["idle_ns"] == pytest.approx(expected)


def test_patterns_are_pooled_apart(tmp_path: Path) -> None:
    patterns = (StepPattern.glob("Step *"), StepPattern.glob("Model Forward"))
    found = report(decode_loop(), tmp_path, Question(patterns=patterns))
    rows = pooled(Report((found,))).rows
    assert [row[2] for row in rows] == ["Model Forward", "Step *"]


# Busy time of a kind


def test_communication_counts_once_where_it_overlaps_itself(tmp_path: Path) -> None:
    trace, thread = builder()
    for start, end, name, stream in (
        (0, 10, "ncclDevKernel_AllReduce", 13), (5, 20, "RCCL_ring", 14), (2, 30, "gemm", 7),
    ):  # fmt: skip
        trace.launch(0, 1, start + 1, end + 1, thread=thread, name=name, stream=stream)
    (device,) = report(trace, tmp_path).devices
    assert (device.busy_ns, device.communication_ns) == (30, 20)


def test_graph_rows_and_node_rows_of_one_trace(tmp_path: Path) -> None:
    """Busy is their union; only what no other row covers is known as a whole graph alone."""
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    trace.launch(0, 1, 10, 30, thread=thread)
    call = trace.api(2, 3, "cudaGraphLaunch_v10000", thread=thread)
    trace.graph_trace(20, 60, correlation=call, process=process)
    call = trace.api(4, 5, "cudaGraphLaunch_v10000", thread=thread)
    for start in (70, 80):
        trace.kernel(start, start + 5, name="node", correlation=call, process=process,
                     graph_node=start)  # fmt: skip
    found = report(trace, tmp_path)
    (device,) = found.devices
    assert (device.busy_ns, device.graph_level_ns, device.idle_ns) == (60, 30, 15)
    assert {k: v for k, v in device.causes.items() if v} == {"queue": 10, "graph": 5}
    assert verdict(found, "graph-level") == "degraded"


def test_neighbouring_projections_that_do_not_overlap_count_nothing(tmp_path: Path) -> None:
    assert report(decode_loop(sync="stream"), tmp_path).series[0].hull_overlap_ns == 0


# Causes at their edges


def gap_with_sync(tmp_path: Path, start: int, end: int, *, skew: int = 0) -> TraceReport:
    """A gap [20, 100) us whose launch is called at 80; a synchronising call [start, end)."""
    trace, thread = builder()
    trace.launch(0, US, 2 * US, 20 * US, thread=thread)
    trace.wait(start, end, thread=thread)
    trace.launch((80 + skew) * US, (90 + skew) * US, 100 * US, 110 * US, thread=thread)
    return report(trace, tmp_path)


@pytest.mark.parametrize(
    ("end", "drains"),
    [(20 * US - 1, False), (20 * US, True), (50 * US, True), (80 * US, True), (80 * US + 1, False)],
)
def test_a_call_drains_the_queue_if_it_returns_inside_the_gap_before_the_launch(
    tmp_path: Path, end: int, drains: bool
) -> None:
    found = gap_with_sync(tmp_path, 5 * US, end)
    assert bool(found.devices[0].drained_by) is drains


def test_a_call_that_returns_after_a_skewed_operation_began_did_not_drain_its_queue(
    tmp_path: Path,
) -> None:
    """The launch call seems to begin at 130, its operation at 100; the wait returns at 120."""
    found = gap_with_sync(tmp_path, 5 * US, 120 * US, skew=50)
    assert found.attributions[0].skewed == 1
    assert found.devices[0].drained_by == {}
    found = gap_with_sync(tmp_path, 5 * US, 90 * US, skew=50)
    assert found.devices[0].drained_by == {"cudaStreamSynchronize": 80 * US}


def test_the_last_of_several_synchronising_calls_is_the_one_named(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, US, 2 * US, 20 * US, thread=thread)
    trace.wait(5 * US, 60 * US, thread=thread, api_name="cudaDeviceSynchronize_v3020")
    trace.wait(6 * US, 30 * US, thread=thread)  # nested in it, and over before it
    trace.launch(80 * US, 90 * US, 100 * US, 110 * US, thread=thread)
    assert list(report(trace, tmp_path).devices[0].drained_by) == ["cudaDeviceSynchronize"]


@pytest.mark.parametrize(("late", "sync"), [(-1, 0), (0, 1), (1, 2)])
@pytest.mark.parametrize("copy_kind", [2, 4])
def test_a_copy_to_the_host_synchronises_if_its_call_ends_no_earlier(
    tmp_path: Path, late: int, sync: int, copy_kind: int
) -> None:
    """Device to host, and array to host; the call lasts until `late` ns after its copy."""
    trace, thread = builder()
    trace.copy(0, 100 + late, 50, 100, bytes=8, thread=thread, copy_kind=copy_kind)
    trace.launch(200, 210, 300, 310, thread=thread)
    (device,) = report(trace, tmp_path).devices
    assert device.causes["sync"] == max(late, 0)
    assert bool(device.drained_by) is (sync > 0)


def test_a_copy_to_the_device_never_does(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.copy(0, 120, 50, 100, bytes=8, thread=thread, copy_kind=1)
    trace.launch(200, 210, 300, 310, thread=thread)
    (device,) = report(trace, tmp_path).devices
    assert (device.causes["sync"], device.causes["api"], device.drained_by) == (0, 20, {})


def test_a_host_function_of_another_thread_holds_nothing_back(tmp_path: Path) -> None:
    trace, thread = builder()
    earlier = trace.thread(thread & ~0xFFFFFF, 50, "earlier")  # its calls stand above in the table
    trace.launch(0, US, 2 * US, 20 * US, thread=earlier)
    trace.api(5 * US, 6 * US, "cudaLaunchHostFunc_v10000", thread=earlier)
    trace.launch(8 * US, 9 * US, 30 * US, 40 * US, thread=thread)
    (device,) = report(trace, tmp_path).devices
    assert (device.causes["dependency"], device.causes["queue"]) == (0, 10 * US)


def test_a_handoff_names_both_threads(tmp_path: Path, inside) -> None:
    trace, thread = builder()
    other = trace.thread(thread & ~0xFFFFFF, 101, "autograd")
    trace.launch(0, 5 * US, 8 * US, 20 * US, thread=thread)
    trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=other)
    trace.launch(90 * US, 91 * US, 95 * US, 99 * US, thread=thread)
    found = report(trace, tmp_path)
    assert found.devices[0].handoffs == {
        "MainThread 100 → autograd 101": 30 * US,
        "autograd 101 → MainThread 100": 20 * US,
    }
    run = inside("gaps", "trace.sqlite", "--by", "cause", "--format", "md")
    assert "MainThread 100 → autograd 101 60%" in " ".join(run.stdout.split())


def test_a_thread_that_made_a_call_since_took_nothing_over(tmp_path: Path) -> None:
    """The call began before the launch of the operation before the gap: a handoff; after: none."""
    for begin, handoff in ((1, True), (4, False)):
        trace, thread = builder()
        other = trace.thread(thread & ~0xFFFFFF, 101, "autograd")
        trace.launch(3 * US, 5 * US, 8 * US, 20 * US, thread=thread)
        trace.api(begin * US, (begin + 1) * US, "cudaEventQuery_v3020", thread=other)
        trace.launch(50 * US, 55 * US, 58 * US, 70 * US, thread=other)
        causes = report(trace, tmp_path).devices[0].causes
        assert (causes["handoff"], causes["host"]) == ((30 * US, 0) if handoff else (0, 30 * US))


def test_of_operations_that_end_together_the_first_is_before_the_gap(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 1, 10, 50, thread=thread, name="first")
    trace.launch(2, 3, 20, 50, thread=thread, name="second", stream=13)
    trace.launch(4, 5, 60, 70, thread=thread)
    found = report(trace, tmp_path)
    assert operation_name(found.trace, int(found.gaps[0].before[0])) == "first"


def test_a_window_of_the_capture_can_be_cut(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 1, 10, 20, thread=thread)
    trace.duration(100)
    for question, edges in (
        (Question(capture=True), (0, 100)),
        (Question(start=5, capture=True), (5, 100)),
        (Question(end=50, capture=True), (0, 50)),
    ):
        (device,) = report(trace, tmp_path, question).devices
        assert (device.window_start_ns, device.window_end_ns) == edges


def test_boundary_causes(tmp_path: Path) -> None:
    """Before the first operation its launch is looked at; after the last one nothing can be."""
    trace, thread = builder()
    trace.launch(40, 50, 60, 70, thread=thread)
    trace.duration(100)
    found = report(trace, tmp_path, Question(capture=True))
    causes = {k: v for k, v in found.devices[0].causes.items() if v}
    assert causes == {"host": 40, "launch": 10, "queue": 10, "tail": 30}
