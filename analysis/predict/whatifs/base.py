"""What a what-if is, and what those about waits share."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeGuard

from msgspec import Struct
from msgspec.structs import replace

from ..program import Action, Launch, Program, Sync


class Costs(Struct, frozen=True):
    """What the calls that a change adds take on this machine, ns; `source` names its GPU file."""

    event_record_ns: int
    event_wait_ns: int
    graph_launch_ns: int
    graph_node_ns: int
    node_gap_ns: int
    source: str


class WhatIf(Struct, frozen=True):
    """One change. `change` makes the changed program, `assumes` says in a sentence what it takes
    for granted; nothing here knows a result: `program.play` works it out."""

    name: str
    change: Callable[[Program, Costs], Program]
    assumes: Callable[[Program, Costs], str]


def checks_are_marked(program: Program) -> bool:
    """Whether the steps' waits can be told apart: some stand inside the stop check's range."""
    return any(a.checks for a in program.actions if waits(a))


def waits(action: Action) -> TypeGuard[Launch | Sync]:
    return isinstance(action, Sync) or (isinstance(action, Launch) and action.waits)


def stop_checks(program: Program) -> list[bool]:
    """Which actions are waits that a hidden stop check would not make."""
    only_checks = checks_are_marked(program)
    return [
        action.step >= 0
        and waits(action)
        and (not only_checks or (isinstance(action, Sync | Launch) and action.checks))
        for action in program.actions
    ]


def unheld(launch: Launch) -> Launch:
    """The same launch, no copy of which holds the host."""
    return replace(launch, works=tuple(replace(work, pageable=False) for work in launch.works))
