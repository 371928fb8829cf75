"""What-ifs: functions from one program to another, each with the sentence that says what it
assumes. Nothing here knows a result; `program.play` works it out."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

from .machine import COPY, KERNEL, ON_DEVICE, Work
from .program import Action, Launch, Plain, Pop, Program, Push, Sync

RECORD, WAIT = "cudaEventRecord_v3020", "cudaEventSynchronize_v3020"
GRAPH = "cudaGraphLaunch_v10000"


def check_waits(program: Program) -> bool:
    """Whether the steps' waits can be told apart: some stand inside the stop check's range."""
    return any(a.checks for a in program.actions if _waits(a))


def _waits(action: Action) -> bool:
    return isinstance(action, Sync) or (isinstance(action, Launch) and action.waits)


def _chosen(program: Program) -> list[bool]:
    """Which actions are waits that a hidden stop check would not make."""
    only_checks = check_waits(program)
    return [
        action.step >= 0
        and _waits(action)
        and (not only_checks or (isinstance(action, Sync | Launch) and action.checks))
        for action in program.actions
    ]


@dataclass(frozen=True)
class _Target:
    last: int
    streams: frozenset[Hashable] | None


def hide_sync(program: Program, *, record_ns: int, wait_ns: int) -> Program:
    """Each wait of a step's stop check becomes a wait for what the same wait of the step before
    waited for: the flag is read one step late, through an event.

    A copy that held the host no longer does. The event's record and wait cost what is given.
    """
    chosen = _chosen(program)
    before: dict[int, list[_Target]] = {}
    actions: list[Action] = []
    just_waited = False
    for action, hit in zip(program.actions, chosen, strict=True):
        if not hit:
            actions.append(action)
            just_waited = just_waited and not isinstance(action, Launch)
            continue
        targets = before.setdefault(action.step, [])
        earlier = before.get(action.step - 1, [])
        place = min(len(targets), len(earlier) - 1)
        late = earlier[place] if place >= 0 else _Target(-1, None)
        if isinstance(action, Launch):
            actions.append(replace(action, works=tuple(map(_unheld, action.works))))
            targets.append(_Target(action.first + len(action.works) - 1, _only(action.stream)))
            actions.append(Plain(RECORD, record_ns, action.step))
            actions.append(
                Sync(WAIT, wait_ns, late.last, late.streams, "event", action.step, action.checks)
            )
            just_waited = True
        elif isinstance(action, Sync):
            targets.append(_Target(action.last, action.streams))
            if just_waited:
                continue  # the copy and the wait behind it were one read of one flag
            actions.append(Plain(RECORD, record_ns, action.step))
            actions.append(
                Sync(WAIT, wait_ns, late.last, late.streams, "event", action.step, action.checks)
            )
    return replace(program, actions=tuple(actions))


def _only(stream: Hashable) -> frozenset[Hashable]:
    return frozenset({stream})


def _unheld(work: Work) -> Work:
    return replace(work, pageable=False)


def drop_sync(program: Program) -> Program:
    """Nothing waits in the stop check at all: what hiding a wait can reach at most."""
    actions: list[Action] = []
    for action, hit in zip(program.actions, _chosen(program), strict=True):
        if hit and isinstance(action, Launch):
            actions.append(replace(action, works=tuple(map(_unheld, action.works))))
        elif not hit:
            actions.append(action)
    return replace(program, actions=tuple(actions))


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
        if action.step != step or _waits(action):
            close()
            step = action.step
        if step >= 0 and not _waits(action):
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


def faster_kernels(program: Program, *, times: float, floor_ns: int) -> Program:
    """Kernels, memsets and copies on the device run `times` as fast, but for their first
    `floor_ns`, which no bandwidth shortens; copies to and from the host stay as they are."""

    def scaled(work: Work) -> Work:
        if work.kind == COPY and work.direction != ON_DEVICE:
            return work
        fixed = min(work.duration_ns, floor_ns if work.kind == KERNEL else 0)
        return replace(work, duration_ns=max(1, fixed + round((work.duration_ns - fixed) / times)))

    actions = tuple(
        replace(action, works=tuple(map(scaled, action.works)))
        if isinstance(action, Launch)
        else action
        for action in program.actions
    )
    return replace(program, actions=actions)
