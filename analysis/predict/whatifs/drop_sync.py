"""Nothing waits in the stop check: the bound of what hiding its waits can win."""

from __future__ import annotations

from msgspec.structs import replace

from ..program import Action, Launch, Program
from .base import Costs, WhatIf, stop_checks, unheld


def drop_sync(program: Program) -> Program:
    """Nothing waits in the stop check at all: what hiding a wait can reach at most."""
    actions: list[Action] = []
    for action, hit in zip(program.actions, stop_checks(program), strict=True):
        if hit and isinstance(action, Launch):
            actions.append(unheld(action))
        elif not hit:
            actions.append(action)
    return replace(program, actions=tuple(actions))


def _change(program: Program, costs: Costs) -> Program:
    del costs
    return drop_sync(program)


def _assumes(program: Program, costs: Costs) -> str:
    del program, costs
    return "no sync: the same waits are left out: the most that hiding them can win."


WHAT_IF = WhatIf("no sync", _change, _assumes)
