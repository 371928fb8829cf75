"""What must hold of a bare trace whatever was recorded, and whatever a recorder costs."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from harness.analysis.bare.costs import Costs, PerCall
from harness.analysis.bare.take_out import bare_trace
from harness.analysis.gains.machine import Timing
from harness.analysis.model.intervals import union
from harness.analysis.model.trace import Trace
from harness.analysis.predict.program import Program
from tests.gains.programs import programs, recorded, timings

law = settings(deadline=None, max_examples=60)
GROUPS = ("operations", "calls", "synchronizations", "ranges", "overheads", "holds")
amounts = st.integers(0, 80)


@st.composite
def costs(draw: st.DrawFn) -> Costs:
    each = [PerCall(*[draw(amounts) for _ in range(7)]) for _ in range(2)]
    return Costs(
        *each, driver=draw(st.sampled_from([0.5, 1.0, 2.0])), node=draw(amounts),
        node_gap=draw(amounts),
        range=draw(amounts),
    )  # fmt: skip


def grown(program: Program, times: int = 40) -> Program:
    """In hundreds of nanoseconds, so that calls are longer than what is left of each."""
    return replace(
        program,
        start=program.start * times,
        actions=tuple(_longer(one, times) for one in program.actions),
    )


def _longer(action: object, times: int) -> object:
    fields = action.__struct_fields__  # type: ignore[attr-defined]
    if "ns" in fields:
        action = replace(action, ns=action.ns * times)  # type: ignore[attr-defined]
    if "works" in fields:
        works = [replace(w, duration_ns=w.duration_ns * times) for w in action.works]  # type: ignore[attr-defined]
        action = replace(action, works=tuple(works))
    return action


def same(one: Trace, other: Trace) -> None:
    assert one.source.duration_ns == other.source.duration_ns
    for group in GROUPS:
        rows, others = getattr(one, group), getattr(other, group)
        for name in type(rows).__struct_fields__:
            left, right = getattr(rows, name), getattr(others, name)
            assert np.array_equal(left, right), (group, name)


@law
@given(programs(), timings())
def test_what_costs_nothing_changes_nothing(program: Program, timing: Timing) -> None:
    for one in (program, grown(program)):
        trace = recorded(one, timing)
        same(bare_trace(trace, Costs()), trace)
        same(bare_trace(trace, Costs(driver=2.0)), trace)


def by_stream(trace: Trace) -> dict[tuple[int, int], np.ndarray]:
    operations = trace.operations
    keys = np.stack((operations.device, operations.stream)).T
    return {
        key: np.flatnonzero((keys == key).all(axis=1))
        for key in map(tuple, np.unique(keys, axis=0).tolist())
    }


@law
@given(programs(), timings(), costs())
def test_rows_keep_their_order_and_their_work(
    program: Program, timing: Timing, cost: Costs
) -> None:
    trace = recorded(grown(program), timing)
    bare = bare_trace(trace, cost)
    for group in GROUPS:
        assert len(getattr(bare, group)) == len(getattr(trace, group))
    assert np.array_equal(bare.calls.correlation, trace.calls.correlation)
    assert (np.diff(bare.operations.start) >= 0).all()
    old, new = by_stream(trace), by_stream(bare)
    assert old.keys() == new.keys()
    for key, rows in old.items():
        before, after = trace.operations, bare.operations
        assert np.array_equal(after.correlation[new[key]], before.correlation[rows])
        lengths = after.end[new[key]] - after.start[new[key]]
        assert np.array_equal(lengths, before.end[rows] - before.start[rows])
        assert (after.start[new[key]][1:] >= after.end[new[key]][:-1]).all()
        spans = union(after.start[new[key]], after.end[new[key]])
        busy = union(before.start[rows], before.end[rows])
        assert (spans.end - spans.start).sum() == (busy.end - busy.start).sum()
    launch = bare.operations.launch
    assert (bare.operations.start >= bare.calls.start[launch]).all()
    for thread in np.unique(bare.calls.thread):
        mine = bare.calls.thread == thread
        assert (np.diff(bare.calls.start[mine]) >= 0).all()
        assert (bare.calls.start[mine][1:] >= bare.calls.end[mine][:-1]).all()


def _instants(trace: Trace) -> np.ndarray:
    """All times, in an order that no cost changes."""
    operations = trace.operations
    order = np.lexsort(
        (operations.start, operations.stream, operations.device, operations.correlation)
    )
    return np.concatenate(
        (operations.start[order], trace.calls.start, trace.calls.end, np.sort(trace.ranges.end))
    )


@law
@given(programs(), timings(), costs(), st.integers(2, 4))
def test_what_costs_more_leaves_less(
    program: Program, timing: Timing, cost: Costs, times: int
) -> None:
    """Of every instant: none is later the more is taken out, and none later than recorded."""
    trace = recorded(grown(program), timing)
    none, some, more = (
        _instants(one)
        for one in (trace, bare_trace(trace, cost), bare_trace(trace, cost.scaled(times)))
    )
    assert (some <= none).all()
    assert (more <= some).all()
