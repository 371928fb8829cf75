"""The array replay of a loop against the machine that made it, and against the older replay."""

from __future__ import annotations

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.gains.changes import Costs
from harness.analysis.gains.changes.hidden_wait import hidden
from harness.analysis.gains.changes.one_graph import graphed
from harness.analysis.gains.changes.wait import removed
from harness.analysis.gains.changes.waits import READ, Site
from harness.analysis.gains.machine import Timing
from harness.analysis.predict.program import Program
from harness.analysis.predict.whatifs.drop_sync import drop_sync
from harness.analysis.predict.whatifs.graph_launches import graph_launches
from harness.analysis.predict.whatifs.hide_sync import hide_sync

from .programs import KINDS, older, programs, recorded, timings
from .support import ends, loops_of

law = settings(deadline=None, max_examples=30)
WITHOUT_EVENTS = tuple(kind for kind in KINDS if kind != "event")
WITHOUT_HOLDS = tuple(kind for kind in WITHOUT_EVENTS if kind != "hold")


def assert_comes_out_again(program: Program, timing: Timing) -> None:
    trace = recorded(program, timing)
    (loop,) = loops_of(trace, timing, runs=[(1, program.steps)])
    assert len(loop.action) == program.operations
    assert loop.late.max() == 0
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()


@law
@given(programs(WITHOUT_EVENTS), timings())
def test_a_recorded_loop_comes_out_to_the_nanosecond(program: Program, timing: Timing) -> None:
    assert_comes_out_again(program, timing)


@law
@given(programs(), timings(wake=False))
def test_and_with_events_that_host_waits_for(program: Program, timing: Timing) -> None:
    assert_comes_out_again(program, timing)


@law
@given(programs(WITHOUT_HOLDS, steps=(4, 6)), timings(), st.data())
def test_a_stretch_takes_up_what_was_queued_before_it(
    program: Program, timing: Timing, data: st.DataObject
) -> None:
    """It begins in the midst of the loop, where streams still work for steps before it. What their
    events held back, it does not know."""
    first = data.draw(st.integers(2, program.steps - 1))
    (loop,) = loops_of(recorded(program, timing), timing, runs=[(first, program.steps)])
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()


QUIET = ("spend", "launch", "graph", "hold")
"""What does not wait, and no copy: a wait for a stream that ends with a copy to the host is a read,
of another site than the other waits."""
ONE_DEVICE = ((0, 7), (0, 13))
"""The older replay takes the stream that waits to be on the device that was given work last."""
WAITS = {"read": READ, "stream": "cudaStreamSynchronize", "device": "cudaDeviceSynchronize"}
COSTS = Costs(3, 4, 20, 2, "a test")


@pytest.mark.parametrize("kind", WAITS)
@law
@given(data=st.data(), timing=timings())
def test_waits_removed_are_the_older_replays(
    kind: str, data: st.DataObject, timing: Timing
) -> None:
    program = data.draw(programs(QUIET, ONE_DEVICE, once=kind))
    trace = recorded(program, timing)
    (loop,) = loops_of(trace, timing, runs=[(1, program.steps)])
    found = ends(loop, removed(loop, COSTS, site=Site("Step *", WAITS[kind])))
    assert found[1].tolist() == older(trace, timing, drop_sync)


@pytest.mark.parametrize("kind", WAITS)
@law
@given(data=st.data(), timing=timings(wake=False))
def test_waits_hidden_are_the_older_replays(kind: str, data: st.DataObject, timing: Timing) -> None:
    """Without a time to wake up: whether a wait is over is looked at before its event is recorded
    here, and after it there."""
    program = data.draw(programs(QUIET, ONE_DEVICE, once=kind))
    trace = recorded(program, timing)
    (loop,) = loops_of(trace, timing, runs=[(1, program.steps)])
    found = ends(loop, hidden(loop, COSTS, site=Site("Step *", WAITS[kind])))
    hide = partial(hide_sync, record_ns=COSTS.event_record_ns, wait_ns=COSTS.event_wait_ns)
    assert found[1].tolist() == older(trace, timing, hide)


@law
@given(programs(("spend", "launch", "graph", "copy", "read", "stream"), ((0, 7),)), timings())
def test_launches_in_one_graph_are_the_older_replays(program: Program, timing: Timing) -> None:
    """On one stream: there, all nodes run on the first one's stream, here each on its own."""
    trace = recorded(program, timing)
    (loop,) = loops_of(trace, timing, runs=[(1, program.steps)])
    found = ends(loop, graphed(loop, COSTS))
    graph = partial(graph_launches, launch_ns=COSTS.graph_launch_ns, node_ns=COSTS.graph_node_ns)
    assert found[1].tolist() == older(trace, timing, graph)
