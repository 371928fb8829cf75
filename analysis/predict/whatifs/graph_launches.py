"""Between two waits of a step, all launches become one CUDA graph."""

from __future__ import annotations

from msgspec.structs import replace

from ..program import Action, Launch, Pop, Program, Push, Sync
from .base import Costs, WhatIf, waits

GRAPH = "cudaGraphLaunch_v10000"


def graph_launches(program: Program, *, launch_ns: int, node_ns: int) -> Program:
    """Between two waits of one step, all launches become one CUDA graph.

    The host's time from the first of them to the last disappears, a launch of `launch_ns` plus
    `node_ns` a node takes its place. Kernel durations stay, and run on one stream, in order.
    """
    actions: list[Action] = []
    run: list[Action] = []

    def close() -> None:
        actions.extend(_graphed(run, launch_ns, node_ns))
        run.clear()

    step = None
    for action in program.actions:
        if action.step != step or waits(action):
            close()
            step = action.step
        if step >= 0 and not waits(action):
            run.append(action)
        else:
            actions.append(action)
    close()
    merged = tuple(replace(a, streams=None) if isinstance(a, Sync) else a for a in actions)
    return replace(program, actions=merged)


def _graphed(run: list[Action], launch_ns: int, node_ns: int) -> list[Action]:
    places = [k for k, action in enumerate(run) if isinstance(action, Launch)]
    if len(places) < 2:
        return list(run)
    first, last = places[0], places[-1]
    launches = [action for action in run if isinstance(action, Launch)]
    works = tuple(work for launch in launches for work in launch.works)
    ranges = [a for a in run[first : last + 1] if isinstance(a, Push | Pop)]
    head = launches[0]
    graph = Launch(
        GRAPH, launch_ns + node_ns * len(works), works, head.stream, head.first, head.step,
        graph=1, checks=head.checks,
    )  # fmt: skip
    return [*run[:first], graph, *ranges, *run[last + 1 :]]


def change(program: Program, costs: Costs) -> Program:
    """The same, at what this machine's calls cost."""
    return graph_launches(program, launch_ns=costs.graph_launch_ns, node_ns=costs.graph_node_ns)


def _assumes(program: Program, costs: Costs) -> str:
    del program
    return (
        f"graph: between two waits of a step all launches become one CUDA graph: the host time "
        f"from the first to the last is replaced by {costs.graph_launch_ns / 1e3:.1f} µs + "
        f"{costs.graph_node_ns} ns a node ({costs.source}.toml), nodes follow each other after "
        f"{costs.node_gap_ns / 1e3:.2f} µs; shapes must be fixed."
    )


WHAT_IF = WhatIf("graph", change, _assumes)
