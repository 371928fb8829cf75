"""The laws of a bare trace, of recordings of other people's programs and of our own."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.bare.costs import Costs
from harness.analysis.bare.take_out import BareTimes, read_recorded
from harness.analysis.model.trace import Trace
from harness.analysis.readers.open import open_trace

from .support import cost
from .test_take_out_laws import by_stream, same

ROOT = Path(__file__).parents[2]
FILES = sorted(
    [
        *ROOT.glob("traces/*.sqlite"),
        *ROOT.glob("tests/data/*.gz"),
        *ROOT.glob("tests/kineto/data/*.gz"),
        *ROOT.glob("tests/analysis/data/*.gz"),
        *ROOT.glob("tests/bare/data/*.gz"),
    ]
)


@pytest.fixture(params=FILES, ids=lambda path: path.name)
def trace(request: pytest.FixtureRequest, tmp_path: Path) -> Trace:
    path: Path = request.param
    if path.name.endswith(".sqlite.gz"):
        with gzip.open(path) as packed, (tmp_path / path.stem).open("wb") as plain:
            shutil.copyfileobj(packed, plain)
        path = tmp_path / path.stem
    return open_trace(path)


def test_recordings_keep_the_laws(trace: Trace) -> None:
    costs = cost(1_000, 500, node=900, node_gap=200, range=400)
    recorded = read_recorded(trace, with_ranges=True)
    none, some, more = recorded.without([Costs(), costs, costs.scaled(2)])
    same(none.trace(), trace)
    bare = some.trace()
    assert (some.operations() <= trace.operations.start).all()
    assert (more.operations() <= some.operations()).all()
    assert (bare.calls.start <= trace.calls.start).all()
    assert (bare.calls.end >= bare.calls.start).all()
    assert (np.diff(bare.operations.start) >= 0).all()
    known = trace.operations.launch >= 0
    fits = trace.operations.start[known] >= trace.calls.start[trace.operations.launch[known]]
    known = bare.operations.launch >= 0
    late = bare.operations.start[known] < bare.calls.start[bare.operations.launch[known]]
    assert late.sum() <= (~fits).sum()
    streams_keep_their_order(trace, bare)
    _sums_of_work_are_the_same(some, trace)


def streams_keep_their_order(trace: Trace, bare: Trace) -> None:
    old, new = by_stream(trace), by_stream(bare)
    before, after = trace.operations, bare.operations
    for key, rows in old.items():
        mine = new[key]
        assert np.array_equal(after.correlation[mine], before.correlation[rows])
        apart = before.start[rows][1:] >= np.maximum.accumulate(before.end[rows])[:-1]
        still = after.start[mine][1:] >= np.maximum.accumulate(after.end[mine])[:-1]
        assert (still | ~apart).all()


def _sums_of_work_are_the_same(times: BareTimes, trace: Trace) -> None:
    bare = times.trace().operations
    assert (bare.end - bare.start).sum() == (trace.operations.end - trace.operations.start).sum()


def test_a_trace_without_calls_or_work_stays_as_it_is(tmp_path: Path) -> None:
    from harness.analysis.writer.writer import TraceBuilder

    for with_work in (False, True):
        builder = TraceBuilder(producer="builder", origin="synthetic")
        process = builder.process(100, "python")
        builder.device(name="GPU", uuid="u")
        thread = builder.thread(process, 100, "main")
        builder.nvtx(0, 1_000, "Step 0", thread=thread)
        if with_work:
            builder.kernel(100, 200, name="k", process=process, device=0, stream=7, correlation=9)
        else:
            builder.api(100, 200, "cudaLaunchKernel_v7000", thread=thread, correlation=9)
        path = tmp_path / f"{with_work}.sqlite"
        builder.write(path)
        plain = open_trace(path)
        same(read_recorded(plain).without([cost(1_000, 1_000)])[0].trace(), plain)
