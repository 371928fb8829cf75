"""Recordings whose times and threads were shuffled: no order of rows stops the replay, or makes it
break a law that the rows themselves keep."""

from __future__ import annotations

import gzip
import shutil

import numpy as np
import pytest
from msgspec.structs import replace

from harness.analysis.bare.costs import Costs
from harness.analysis.bare.take_out import read_recorded
from harness.analysis.model.trace import Calls, Operations, Trace
from harness.analysis.readers.open import open_trace

from .support import cost
from .test_recordings import ROOT, streams_keep_their_order

FILES = (
    "tests/data/h100_vit_with_stack.json.gz",
    "tests/data/v100_dlrm_rank0.json.gz",
    "tests/data/graph_level.sqlite.gz",
    "traces/example-sync.sqlite",
)
SHARES = (0.0, 0.02, 0.3)
"""Of the rows, how many are moved."""


@pytest.fixture(scope="module", params=FILES)
def whole(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trace:
    path = ROOT / request.param
    if path.name.endswith(".sqlite.gz"):
        plain = tmp_path_factory.mktemp("broken") / path.stem
        with gzip.open(path) as packed, plain.open("wb") as file:
            shutil.copyfileobj(packed, file)
        path = plain
    return open_trace(path)


def moved(
    rows: Calls | Operations, share: float, edges: tuple[int, int], random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Starts and ends, of which this share lies anywhere."""
    start, end = rows.start.copy(), rows.end.copy()
    some = random.random(len(rows)) < share
    start[some] = random.integers(*edges, some.sum())
    longest = max(2, (edges[1] - edges[0]) // int(random.integers(2, 200)))
    end[some] = start[some] + random.integers(0, longest, some.sum())
    return start, end


def broken(trace: Trace, random: np.random.Generator) -> Trace:
    calls, work, synced = trace.calls, trace.operations, trace.synchronizations
    edges = int(min(calls.start.min(), work.start.min())), int(max(calls.end.max(), work.end.max()))
    start, end = moved(calls, random.choice(SHARES), edges, random)
    thread = calls.thread
    if random.random() < 0.3:
        thread = random.integers(0, len(trace.threads), len(calls)).astype(thread.dtype)
    order = np.lexsort((start, thread))
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    rest = {
        name: getattr(calls, name)[order] for name in ("process", "correlation", "name", "failed")
    }
    calls = replace(calls, start=start[order], end=end[order], thread=thread[order], **rest)
    start, end = moved(work, random.choice(SHARES), edges, random)
    launch = np.where(work.launch >= 0, place[np.maximum(work.launch, 0)], -1)
    if random.random() < 0.3:
        launch[random.random(len(launch)) < 0.1] = -1
    columns = {name: getattr(work, name) for name in work.__struct_fields__}
    columns |= {"start": start, "end": np.maximum(end, start + 1), "launch": launch}
    order = np.lexsort((work.correlation, start))
    if len(synced):
        call = np.where(synced.call >= 0, place[np.maximum(synced.call, 0)], -1)
        synced = replace(synced, call=call)
    return replace(
        trace,
        calls=calls,
        operations=Operations(**{name: column[order] for name, column in columns.items()}),
        synchronizations=synced,
    )


@pytest.mark.parametrize("seed", range(15))
def test_laws_hold_of_whatever_was_recorded(whole: Trace, seed: int) -> None:
    random = np.random.default_rng(seed)
    trace = broken(whole, random)
    costs = cost(1_000, 700, node=300, node_gap=100, range=200)
    recorded = read_recorded(trace, with_ranges=bool(random.random() < 0.5))
    none, some, more = recorded.without([Costs(), costs, costs.scaled(3)])
    again = none.trace()
    for group in ("operations", "calls", "ranges"):
        for edge in ("start", "end"):
            there = getattr(getattr(trace, group), edge)
            assert np.array_equal(getattr(getattr(again, group), edge), there), (group, edge)
    assert (some.operations() <= trace.operations.start).all()
    # What a call costs is spread over its parts in whole nanoseconds.
    assert (more.operations() <= some.operations() + 2).all()
    bare = some.trace()
    streams_keep_their_order(trace, bare)
    assert _early(bare) <= _early(trace)


def _early(trace: Trace) -> int:
    """Operations that start before their launch."""
    launch = trace.operations.launch
    known = launch >= 0
    return int((trace.operations.start[known] < trace.calls.start[launch[known]]).sum())
