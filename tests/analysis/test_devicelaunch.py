"""The body of a graph's conditional node: no call launched it, the graph's launch did."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from harness.analysis.analyze import analyze
from harness.analysis.idle.infer.infer import infer_steps
from harness.analysis.model.names import operation_name
from harness.analysis.question import Question
from harness.analysis.readers.graph_launches import GraphLaunches
from harness.analysis.readers.open import open_trace
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, report
from .test_causes import split

BODY = ("embed", *("attention", "mlp") * 3, "head")
NODES, RUNS = len(BODY), 12


def looped(trace: TraceBuilder, thread: int, at: int, graph: int, *, runs: int = RUNS) -> int:
    """One launch of a graph: a node, then `runs` times a body of NODES kernels; its launch's id.

    A kernel takes 9 us and 1 us passes to the next, 5 us between two runs of the body.
    """
    process = thread & ~0xFFFFFF
    call = trace.api(at, at + 5 * US, "cudaGraphLaunch_v10000", thread=thread)
    start = at + 10 * US
    trace.kernel(start, start + 9 * US, name="set", correlation=call, process=process,
                 graph_node=graph << 32 | 1)  # fmt: skip
    start += 10 * US
    for _ in range(runs):
        for node, name in enumerate(BODY):
            trace.kernel(start, start + 9 * US, name=name, correlation=0, process=process,
                         stream=143, graph_node=graph << 32 | node + 2)  # fmt: skip
            start += 10 * US
        start += 4 * US
    trace.wait(at + 5 * US, start, thread=thread)
    return call


def written(trace: TraceBuilder, folder: Path) -> Path:
    trace.write(folder / "t.sqlite")
    return folder / "t.sqlite"


def test_a_body_is_its_graphs_launch(tmp_path: Path) -> None:
    trace, thread = builder()
    first = looped(trace, thread, 0, 5)
    second = looped(trace, thread, 2000 * US, 5)
    path = written(trace, tmp_path)
    read = open_trace(path)
    per_launch = NODES * RUNS + 1
    assert read.operations.correlation.tolist() == [first] * per_launch + [second] * per_launch
    assert np.unique(read.operations.launch).tolist() == [0, 2]
    assert [v.code for v in analyze(path, Question()).verdicts] == ["device-only"]


def test_its_gaps_are_the_graphs(tmp_path: Path) -> None:
    trace, thread = builder()
    looped(trace, thread, 0, 5)
    # 1 us behind each kernel but the last; 4 us more between two runs of the body.
    assert split(report(trace, tmp_path)) == {"graph": NODES * RUNS + 4 * (RUNS - 1)}


def test_a_body_without_its_launch_stays_unknown(tmp_path: Path) -> None:
    trace, thread = builder()
    process = thread & ~0xFFFFFF
    for k in range(3):  # before any launch of graph 5
        trace.kernel(k * 10 * US, (k * 10 + 8) * US, name="k", correlation=0, process=process,
                     graph_node=5 << 32 | k)  # fmt: skip
    looped(trace, thread, 100 * US, 5, runs=1)
    trace.kernel(300 * US, 310 * US, name="other", correlation=0, process=process,
                 graph_node=6 << 32 | 1)  # fmt: skip
    launch = open_trace(written(trace, tmp_path)).operations.launch
    assert launch.tolist() == [-1] * 3 + [0] * (NODES + 1) + [-1]


def test_another_process_has_other_graphs(tmp_path: Path) -> None:
    trace, thread = builder()
    looped(trace, thread, 0, 5, runs=1)
    other = trace.process(200, "python")
    trace.kernel(500 * US, 510 * US, name="k", correlation=0, process=other,
                 graph_node=5 << 32 | 2)  # fmt: skip
    launch = open_trace(written(trace, tmp_path)).operations.launch
    assert launch.tolist() == [0] * (NODES + 1) + [-1]


def test_ids_that_are_none_stay_as_they_are() -> None:
    launches = GraphLaunches()
    ids = np.array([-7, 0, 3, -(2**63), -(2**62)])
    rows = {
        "start": np.arange(5),
        "correlationId": ids,
        "graphNodeId": np.array([7 << 32, 0, 7 << 32 | 1, -(2**63), 5]),
    }
    process = np.zeros(5, np.int64)
    taken = launches.take(rows, process)
    assert launches.resolve(taken, rows["start"], process).tolist() == ids.tolist()


def test_steps_of_a_loop_on_the_device(tmp_path: Path) -> None:
    """Its repeats are told by place: one launch brought them all."""
    trace, thread = builder()
    looped(trace, thread, 0, 5)
    path = written(trace, tmp_path)
    (series,) = analyze(path, Question(infer=True)).series
    assert _nodes(path) == [[*BODY]] * RUNS
    assert series.steady is not None
    assert (series.steady.period_ns, series.steady.busy_ns) == (
        (10 * NODES + 4) * US,
        9 * NODES * US,
    )


def _nodes(path: Path) -> list[list[str]]:
    """The kernels of each step, in order."""
    trace = open_trace(path)
    step_of = infer_steps(trace).series.step_of
    return [
        [operation_name(trace, int(k)) for k in np.flatnonzero(step_of == step)]
        for step in range(int(step_of.max()) + 1)
    ]
