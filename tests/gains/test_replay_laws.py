"""The array replay of a loop against the machine that made it, and against the older replay."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.gains.machine import Timing
from harness.analysis.predict.program import Program

from .programs import KINDS, programs, recorded, timings
from .support import ends, loops_of

WITHOUT_EVENTS = tuple(kind for kind in KINDS if kind != "event")


def assert_comes_out_again(program: Program, timing: Timing) -> None:
    trace = recorded(program, timing)
    (loop,) = loops_of(trace, timing, runs=[(1, program.steps)])
    assert len(loop.action) == program.operations
    assert loop.late.max() == 0
    assert ends(loop)[0].tolist() == loop.recorded_end.tolist()


@given(programs(WITHOUT_EVENTS), timings())
def test_a_recorded_loop_comes_out_to_the_nanosecond(program: Program, timing: Timing) -> None:
    assert_comes_out_again(program, timing)


@given(programs(), timings(wake=False))
def test_and_with_events_that_host_waits_for(program: Program, timing: Timing) -> None:
    assert_comes_out_again(program, timing)
