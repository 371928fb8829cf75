"""Random loops, played by the machine and written as the trace that a recorder would have made.

What an event stands behind is in no trace; these loops leave no doubt of it: each stream wait
follows the record of its event, and where there are event waits, waits return at once. Calls that
wait take one time by themselves, and no time is long enough to be taken for a fault of the device.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from harness.analysis.gains.machine import Timing
from harness.analysis.gains.work import COPY, TO_DEVICE, TO_HOST, Work
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
    play,
)
from harness.analysis.predict.recorded import read_program
from harness.analysis.predict.to_trace import fill, recorded_place
from harness.analysis.writer.writer import TraceBuilder

from .support import busiest, reopened, steps_of

STREAMS = ((0, 7), (0, 13), (1, 21))
COPIES = (0, 13)
"""Copies of one direction take turns on the machine, whatever their streams: they have one."""
STREAM_SYNC, EVENT_SYNC, DEVICE_SYNC = (
    "cudaStreamSynchronize", "cudaEventSynchronize", "cudaDeviceSynchronize",
)  # fmt: skip
KINDS = ("spend", "launch", "graph", "hold", "stream", "event", "device", "copy", "read", "staged")
times = st.integers(1, 50)


@st.composite
def timings(draw: st.DrawFn, *, wake: bool = True) -> Timing:
    return Timing(
        latency_ns=draw(st.integers(5, 50)), gap_ns=draw(times), event_ns=draw(times),
        wake_ns=draw(times) if wake else 0, node_gap_ns=draw(times), queue_depth=10**6,
    )  # fmt: skip


@st.composite
def programs(
    draw: st.DrawFn,
    kinds: tuple[str, ...] = KINDS,
    streams: tuple[tuple[int, int], ...] = STREAMS,
    steps: tuple[int, int] = (3, 5),
    once: str | None = None,
) -> Program:
    """Steps `Step 0`, `Step 1`, ... of these kinds of actions on these streams; each with one of
    the kind `once`."""
    actions: list[Action] = []
    queued = 0
    costs = {name: draw(st.integers(1, 5)) for name in (STREAM_SYNC, EVENT_SYNC, DEVICE_SYNC)}
    copies = COPIES if COPIES in streams else streams[0]
    count = draw(st.integers(*steps))
    for step in range(count):
        actions += [Spend(draw(st.integers(1, 50)), step), Push(f"Step {step}", step)]
        chosen = draw(st.lists(st.sampled_from(kinds), max_size=10))
        if once is not None:
            chosen.insert(draw(st.integers(0, len(chosen))), once)
        for kind in ["launch", *chosen]:
            stream = draw(st.sampled_from(streams))
            if kind == "spend":
                actions.append(Spend(draw(times), step))
            elif kind == "hold":
                others = [one for one in streams if one != _stream(actions, queued - 1)]
                if others:  # a stream does not wait for its own work
                    stream = draw(st.sampled_from(others))
                    actions.append(Plain("cudaEventRecord", draw(times), step))
                    wait = Hold("cudaStreamWaitEvent", draw(times), stream, queued - 1, step)
                    actions.append(wait)
            elif kind == "stream":
                name = STREAM_SYNC
                only = frozenset({stream})
                actions.append(Sync(name, costs[name], queued - 1, only, "stream", step))
            elif kind == "event":
                name, last = EVENT_SYNC, draw(st.integers(0, queued - 1))
                only = frozenset({_stream(actions, last)})
                actions.append(Sync(name, costs[name], last, only, "event", step))
            elif kind == "device":
                name = DEVICE_SYNC
                actions.append(Sync(name, costs[name], queued - 1, None, "device", step))
            else:
                works = _works(draw, kind)
                # A copy's call is over before its copy, as without a wait it is.
                own = draw(times) if kind in ("launch", "graph") else draw(st.integers(1, 5))
                graph = queued + 1 if kind == "graph" else None
                where = stream if kind in ("launch", "graph") else copies
                actions.append(Launch(_NAMES[kind], own, works, where, queued, step, graph))
                queued += len(works)
        actions.append(Pop(step))
    return Program(tuple(actions), start=draw(st.integers(1, 50)), steps=count)


_NAMES = {
    "launch": "cudaLaunchKernel", "graph": "cudaGraphLaunch", "copy": "cudaMemcpyAsync",
    "read": "cudaMemcpyAsync", "staged": "cudaMemcpyAsync",
}  # fmt: skip


def _works(draw: st.DrawFn, kind: str) -> tuple[Work, ...]:
    if kind in ("launch", "graph"):
        count = draw(st.integers(2, 4)) if kind == "graph" else 1
        return tuple(Work(f"k{draw(times) % 3}", draw(st.integers(1, 90))) for _ in range(count))
    direction = TO_DEVICE if kind == "staged" else TO_HOST
    return (Work("copy", draw(st.integers(1, 90)), COPY, direction, 1, kind != "copy"),)


def _stream(actions: list[Action], number: int) -> tuple[int, int]:
    """Where the operation with that number runs."""
    for action in actions:
        if isinstance(action, Launch) and number < action.first + len(action.works):
            return action.stream  # type: ignore[return-value]
    raise AssertionError(number)


def older(
    trace: Trace, timing: Timing, change: Callable[[Program], Program] | None = None
) -> list[int]:
    """When each operation ends in the replay that plays one action at a time, ns."""
    series, _ = busiest(*steps_of(trace))
    program = read_program(trace, series).program
    log = play(change(program) if change else program, timing)
    return [row.end for row in log.operations]


def recorded(program: Program, timing: Timing) -> Trace:
    """What a recorder would see of it."""
    trace = TraceBuilder(producer="sim", origin="simulated")
    for device in (0, 1):
        trace.device(device, name="GPU", uuid=f"u{device}")
    fill(trace, play(program, timing), recorded_place)
    return reopened(trace)
