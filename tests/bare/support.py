"""Loops with and without a recorder, made by the simulated machine; shared by these tests."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec.structs import replace

from harness.analysis.bare.costs import Costs, PerCall
from harness.analysis.gains.machine import Timing
from harness.analysis.model.trace import Trace
from harness.analysis.predict.program import (
    Action,
    Hold,
    Launch,
    Plain,
    Pop,
    Program,
    Push,
    Spend,
    Sync,
)
from tests.gains.programs import recorded

US = 1_000
TIMING = Timing(
    latency_ns=5_000, gap_ns=1_000, event_ns=1_000, wake_ns=3_000, node_gap_ns=700,
    queue_depth=10**6,
)  # fmt: skip


def costly(program: Program, inside: int, outside: int, node: int = 0) -> Program:
    """The same loop, as a recorder makes it: each call longer, and the host later after it."""
    actions: list[Action] = []
    for one in program.actions:
        if isinstance(one, Launch | Plain | Sync | Hold):
            more = inside
            if isinstance(one, Launch) and one.graph is not None:
                more += node * len(one.works)
            actions.append(replace(one, ns=one.ns + more))
            actions.append(Spend(outside, one.step))
        else:
            actions.append(one)
    return replace(program, actions=tuple(actions))


def cost(inside: int, outside: int, **more: int) -> Costs:
    return Costs(PerCall.every(inside), PerCall.every(outside), **more)  # type: ignore[arg-type]


def loop(step: Callable[[int, int], list[Action]], steps: int = 12) -> Program:
    """`step`: of a step's number and of the operations before it, its actions."""
    actions: list[Action] = []
    queued = 0
    for number in range(steps):
        own = step(number, queued)
        queued += sum(len(one.works) for one in own if isinstance(one, Launch))
        actions += [Push(f"Step {number}", number), *own, Pop(number), Spend(5 * US, number)]
    return Program(tuple(actions), start=1_000_000, steps=steps)


def starts(trace: Trace) -> np.ndarray:
    """When the work of each step starts, by the begin of the launch that stands first in it, ns."""
    ranges = trace.ranges
    launched = np.sort(trace.operations.start)
    return launched[np.searchsorted(launched, np.sort(ranges.start))]


def step_ns(trace: Trace) -> float:
    """The mean step, from the begin of the second step's range to that of the last one's."""
    begun = np.sort(trace.ranges.start)
    return float(begun[-1] - begun[1]) / (len(begun) - 2)


__all__ = ["TIMING", "US", "cost", "costly", "loop", "recorded", "starts", "step_ns"]
