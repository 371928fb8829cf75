"""Strategies with their ranges taken away: the same steps, to the operation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.assign import find_steps
from harness.analysis.idle.infer.infer import infer_steps
from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.open import open_trace

from .loops import (
    Deferred,
    Host,
    cut,
    every_8,
    exact,
    forward,
    growing_cache,
    kv_cache,
    never,
    no_cache,
    opened,
    recorded,
    training,
    without_ranges,
)

STRATEGIES = {
    "no-cache": no_cache,
    "kv-cache": kv_cache,
    "growing-cache": growing_cache,
    "never": never,
    "every-8": every_8,
    "deferred": Deferred([7]),
    "pipelined": Deferred([7, 13]),
    "training": training,
}
KINETO = Path(__file__).parents[1] / "kineto" / "data"


@pytest.mark.parametrize("name", STRATEGIES)
def test_recorded_from_step_to_step(tmp_path: Path, name: str) -> None:
    """As `harness profile` records: the window begins and ends at steps."""
    trace = opened(recorded(STRATEGIES[name]).trace, tmp_path)
    (truth,) = find_steps(trace).series
    inferred = infer_steps(without_ranges(trace))
    assert exact(inferred, truth) == list(range(20))
    assert inferred.confidence > 0.9
    assert inferred.boundary_confidence > 0.5
    assert "inferred" in inferred.series.pattern


def prefill(host: Host) -> None:
    """The first turn of the loop, with matrix kernels of another shape and a cache to fill."""
    for _ in range(5):
        host.kernel("init")
    forward(host, variant="_prefill")
    host.kernel("any")
    host.item()


def setup(host: Host) -> None:
    for k in range(40):
        host.kernel(f"init_{k % 3}")
    host.upload()


def decode_text(host: Host) -> None:
    for name in ("gather", "sort", "scatter"):
        host.kernel(name)
    host.item()


@pytest.mark.parametrize("name", ["kv-cache", "growing-cache", "deferred", "training", "every-8"])
@pytest.mark.parametrize("before", [prefill, setup])
def test_recorded_from_start_to_end(tmp_path: Path, name: str, before) -> None:
    host = recorded(STRATEGIES[name], first=1, prologue=before, epilogue=decode_text)
    trace = opened(host.trace, tmp_path)
    (truth,) = find_steps(trace).series
    found = exact(infer_steps(without_ranges(trace)), truth)
    # A prefill that differs in its matrix kernels alone is no repeat; the first or last step may
    # be taken for part of what stands before or after it.
    assert len(found) >= 19
    assert found == list(range(found[0], found[0] + len(found)))


def test_the_step_not_the_layer(tmp_path: Path) -> None:
    trace = opened(recorded(kv_cache).trace, tmp_path)
    inferred = infer_steps(without_ranges(trace))
    assert inferred.period_ops == 3 + 6 * 11 + 4 + 2
    assert "6 repeats of 11 operations" in inferred.explanation


def test_one_forward_is_no_loop_over_its_layers(tmp_path: Path) -> None:
    """Twelve layers look like twelve steps, but nothing marks them: refused, not guessed."""
    host = Host()
    forward(host, layers=12)
    host.item()
    with pytest.raises(TraceError, match="a layer would look the same"):
        infer_steps(opened(host.trace, tmp_path))


def test_hulls_of_two_streams_overlap(tmp_path: Path) -> None:
    """Ping-pong: step i+1 is launched on the other stream while step i runs."""
    trace = opened(recorded(Deferred([7, 13])).trace, tmp_path)
    (truth,) = find_steps(trace).series
    o = trace.operations
    ends = [o.end[truth.step_of == k].max() for k in range(20)]
    starts = [o.start[truth.step_of == k].min() for k in range(20)]
    assert sum(s < e for s, e in zip(starts[1:], ends[:-1], strict=True)) > 10
    inferred = infer_steps(without_ranges(trace))
    assert "take turns" in inferred.explanation
    assert exact(inferred, truth) == list(range(20))


def test_an_evaluation_in_between_is_left_out(tmp_path: Path) -> None:
    host = Host()
    for number in range(20):
        if number == 11:
            for k in range(150):
                host.kernel(f"evaluate_{k % 7}_{k % 11}")
            host.item()
        host.step(number, lambda number=number: kv_cache(host, number))  # type: ignore[misc]
    trace = opened(host.trace, tmp_path)
    (truth,) = find_steps(trace).series
    inferred = infer_steps(without_ranges(trace))
    assert exact(inferred, truth) == list(range(20))
    assert "Left out, other work or another length: 1." in inferred.explanation


def test_repeats_left_out_are_in_no_average(tmp_path: Path) -> None:
    def figures(evaluate: bool) -> tuple[float, float]:
        host = Host()
        for number in range(20):
            if evaluate and number == 11:
                for k in range(150):
                    host.kernel(f"evaluate_{k % 7}_{k % 11}")
                host.item()
            host.step(number, lambda number=number: kv_cache(host, number))  # type: ignore[misc]
        found = analyze(without_ranges(opened(host.trace, tmp_path)), Question(infer=True))
        (series,) = found.series
        assert series.steady is not None
        assert [v.code for v in found.verdicts] == ["inferred-steps"]
        return series.steady.steps, series.steady.period_ns

    # The period before the evaluation holds its work, and goes with it.
    assert figures(evaluate=True)[0] == figures(evaluate=False)[0] - 1 == 17
    assert figures(evaluate=True)[1] == pytest.approx(figures(evaluate=False)[1], rel=0.005)


def test_two_loops_of_two_threads(tmp_path: Path) -> None:
    """A second thread runs a loop of its own: it is named, and its work belongs to no step."""
    host = recorded(kv_cache)
    other = Host(tid=200, trace=host.trace, at=1300)
    other.ranges = False
    for _ in range(30):
        for name in ("resize", "crop", "normalise", "to_half"):
            other.kernel(name, stream=21)
        other.item(stream=21)
    trace = opened(host.trace, tmp_path)
    (truth,) = find_steps(trace).series
    inferred = infer_steps(without_ranges(trace))
    mine = trace.calls.thread[trace.operations.launch] == inferred.series.thread_index
    assert (inferred.series.step_of[~mine] == -1).all()
    assert "threads of another loop" in inferred.explanation
    assert len(inferred.series) == len(truth) == 20


def test_two_loops_on_one_stream_are_refused(tmp_path: Path) -> None:
    """Launches of two threads fall between each other as they come."""
    host = Host()
    host.ranges = False
    other = Host(tid=200, trace=host.trace, at=1000)
    rng = np.random.default_rng(0)
    for _ in range(30):
        for k in range(25):
            host.kernel(f"a{k}", cost=int(rng.integers(2, 30)) * 1000)
    for _ in range(40):
        for k in range(17):
            other.kernel(f"b{k}", cost=int(rng.integers(2, 30)) * 1000)
    with pytest.raises(TraceError, match="no stable period"):
        infer_steps(opened(host.trace, tmp_path))


def test_work_of_the_autograd_thread_goes_by_time(tmp_path: Path) -> None:
    host = Host()
    backward = Host(tid=200, trace=host.trace)
    for number in range(12):

        def body(number: int = number) -> None:
            forward(host)
            backward.now, backward.free = host.now, host.free
            for name in ("gemm_grad", "norm_grad", "embedding_grad"):
                backward.kernel(name)
            host.now = backward.now
            host.kernel("adam")
            host.item()

        host.step(number, body)
    trace = opened(host.trace, tmp_path)
    (truth,) = find_steps(trace).series
    inferred = infer_steps(without_ranges(trace))
    assert exact(inferred, truth) == list(range(12))
    assert inferred.series.by_time == 36
    assert list(inferred.series.other_threads.values()) == [36]


@pytest.mark.parametrize("device", [0, 1, 7])
def test_devices(tmp_path: Path, device: int) -> None:
    trace = recorded(kv_cache).trace
    path = tmp_path / "loop.sqlite"
    trace.write(path)
    if device == 0:
        assert infer_steps(open_trace(path), device=0).period_ops == 75
    else:
        with pytest.raises(TraceError, match=f"on device {device}: no loop"):
            infer_steps(open_trace(path), device=device)


def test_step_times_run_on_from_wait_to_wait(tmp_path: Path) -> None:
    trace = opened(recorded(kv_cache).trace, tmp_path)
    (truth,) = find_steps(trace).series
    series = infer_steps(without_ranges(trace)).series
    assert np.array_equal(series.start[1:], series.end[:-1])
    # The wait returned inside the step before; the next range begins within the loop's overhead.
    assert (np.abs(series.start[1:] - truth.start[1:]) < 100_000).all()


def test_summaries_of_inferred_steps_match(tmp_path: Path) -> None:
    """Idle per steady step comes out the same, whoever marked the steps."""
    trace = opened(recorded(kv_cache).trace, tmp_path)
    marked = analyze(trace).series[0].steady
    (series,) = analyze(trace, Question(infer=True)).series
    assert series.steady is not None
    assert marked is not None
    assert series.steady.steps == marked.steps
    assert series.steady.idle_ns == marked.idle_ns
    assert series.steady.period_ns == pytest.approx(marked.period_ns, rel=1e-3)


RECORDED = [
    ("decode_sync", 12),
    ("decode_side", 12),
    ("decode_deferred", 12),
    ("decode_nocache", 12),
    ("decode_graph", 12),
    ("train", 12),
]


MARKED = (StepPattern.glob("ProfilerStep#*"),)


@pytest.mark.parametrize(("name", "steps"), RECORDED)
def test_recorded_on_an_h100(name: str, steps: int) -> None:
    trace = open_trace(KINETO / f"h100_{name}.json.gz")
    (truth,) = find_steps(trace, MARKED).series
    inferred = infer_steps(without_ranges(trace))
    assert exact(inferred, truth) == list(range(steps))


@pytest.mark.parametrize("name", ["decode_sync", "decode_deferred", "train"])
def test_cut_anywhere(name: str) -> None:
    """A recording that was started and stopped in the middle of steps."""
    trace = open_trace(KINETO / f"h100_{name}.json.gz")
    (truth,) = find_steps(trace, MARKED).series
    first, last = int(truth.start[0]), int(truth.end[-1])
    third = (last - first) // 3
    rng = np.random.default_rng(1)
    coincidences = 0
    for _ in range(15):
        low, high = first + int(rng.integers(0, third)), last - int(rng.integers(0, third))
        part, rows = cut(trace, low, high)
        inferred = infer_steps(part)
        if inferred.evidence[0] == "the recording begins and ends there":
            coincidences += 1  # it happened to be cut at one place of two steps: that is not seen
            continue
        whole = np.flatnonzero((truth.start >= low) & (truth.end <= high)).tolist()
        assert set(whole) <= set(exact(inferred, truth, rows))
    assert coincidences <= 2


def test_recorded_without_annotations() -> None:
    inferred = infer_steps(open_trace(KINETO / "h100_decode_cuda_only.json.gz"))
    assert (len(inferred.series), inferred.period_ops) == (12, 76)
    assert inferred.boundary_confidence == 1.0


def test_power_iteration(public_traces: Path) -> None:
    """Ten iterations inside each step, and waits in the middle of it: found by where it begins."""
    trace = open_trace(public_traces / "power_iteration.sqlite")
    (truth,) = find_steps(trace, (StepPattern.of_regex(r"^Step \d+ to \d+$"),)).series
    assert len(truth) == 44
    inferred = infer_steps(without_ranges(trace))
    assert exact(inferred, truth) == list(range(43))  # the last one is left by `break`
    assert inferred.period_ops == 87
    assert inferred.evidence == ("the loop begins there, after 1 others",)
    assert "9 repeats of 7 operations" in inferred.explanation


def test_saxpy(public_traces: Path) -> None:
    """Five times two uploads, a kernel, a copy back: small, but the host waits for each."""
    inferred = infer_steps(open_trace(public_traces / "mpi_saxpy_old_schema.sqlite"))
    assert (len(inferred.series), inferred.period_ops) == (5, 4)
    assert np.bincount(inferred.series.step_of).tolist() == [4] * 5


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("graph_level", "no stable period"),
        ("h100_2gpu_copy_bound", "78 operations come back .* nothing marks them as a step"),
    ],
)
def test_refused(public_traces: Path, name: str, why: str) -> None:
    with pytest.raises(TraceError, match=why) as raised:
        infer_steps(open_trace(public_traces / f"{name}.sqlite"))
    assert "\n" not in str(raised.value)
    assert "--step" in str(raised.value)
