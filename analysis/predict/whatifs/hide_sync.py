"""The stop check's waits are for the step before: its flag is read one step late."""

from __future__ import annotations

from collections.abc import Hashable

from msgspec import Struct
from msgspec.structs import replace

from ..program import Action, Launch, Plain, Program, Sync
from .base import Costs, WhatIf, checks_are_marked, stop_checks, unheld

RECORD, WAIT = "cudaEventRecord_v3020", "cudaEventSynchronize_v3020"


class _Target(Struct, frozen=True):
    last: int
    streams: frozenset[Hashable] | None


def hide_sync(program: Program, *, record_ns: int, wait_ns: int) -> Program:
    """Each wait of a step's stop check becomes a wait for what the same wait of the step before
    waited for: the flag is read one step late, through an event.

    A copy that held the host no longer does. The event's record and wait cost what is given.
    """
    chosen = stop_checks(program)
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
            actions.append(unheld(action))
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


def _change(program: Program, costs: Costs) -> Program:
    return hide_sync(program, record_ns=costs.event_record_ns, wait_ns=costs.event_wait_ns)


def _assumes(program: Program, costs: Costs) -> str:
    marked = checks_are_marked(program)
    which = "the waits inside 'Check Stop Condition'" if marked else "all waits of a step"
    more = (costs.event_record_ns + costs.event_wait_ns) / 1e3
    return (
        f"hide sync: {which} are for the step before's flag, through an event "
        f"({more:.1f} µs of calls more)."
    )


WHAT_IF = WhatIf("hide sync", _change, _assumes)
