"""A recorded host as a list of actions, and how a machine plays it.

An action says what the host did and how long it took by itself; when work runs, and how long a wait
takes, the machine works out again. What-ifs are functions from one program to another.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Hashable

from msgspec import Struct

from ..gains.log import Log
from ..gains.machine import Machine, Timing
from ..gains.work import Span, Work

NEVER = 2**62
"""Later than any instant."""


class Spend(Struct, frozen=True):
    """The host computes."""

    ns: int
    step: int = -1


class Plain(Struct, frozen=True):
    """A CUDA call that concerns no work."""

    name: str
    ns: int
    step: int = -1


class Launch(Struct, frozen=True):
    """A call that queues work; `first` is the number of its first operation in the program."""

    name: str
    ns: int
    works: tuple[Work, ...]
    stream: Hashable
    first: int
    step: int = -1
    graph: int | None = None
    checks: bool = False
    """It stands inside the range that looks whether to stop."""

    @property
    def waits(self) -> bool:
        """Whether the call holds the host until its own work is done."""
        return any(work.pageable for work in self.works)


class Sync(Struct, frozen=True):
    """A call that waits for operations: all up to number `last` on `streams`, None being all.

    With `last` -1 it waits for nothing and only takes its own time.
    """

    name: str
    ns: int
    last: int
    streams: frozenset[Hashable] | None
    kind: str = "stream"
    step: int = -1
    checks: bool = False
    """It stands inside the range that looks whether to stop."""


class Hold(Struct, frozen=True):
    """A call that makes a stream wait for operation number `last`."""

    name: str
    ns: int
    stream: Hashable
    last: int
    step: int = -1


class Push(Struct, frozen=True):
    """A range opens."""

    name: str
    step: int = -1


class Pop(Struct, frozen=True):
    """The innermost range closes."""

    step: int = -1


Action = Spend | Plain | Launch | Sync | Hold | Push | Pop


class Program(Struct, frozen=True):
    """What one host thread did from instant `start` on.

    `busy_until`: streams that still had work then, and until when. `steps` counts the steps.
    """

    actions: tuple[Action, ...]
    start: int
    busy_until: tuple[tuple[Hashable, int], ...] = ()
    steps: int = 0

    @property
    def operations(self) -> int:
        """How many operations of the device it queues."""
        return sum(len(action.works) for action in self.actions if isinstance(action, Launch))


def play(program: Program, timing: Timing) -> Log:
    """Run the program on a machine with these constants."""
    machine = Machine(timing, start=program.start)
    for stream, until in program.busy_until:
        machine.occupy(stream, until)
    ends: dict[int, tuple[Hashable, int]] = {}
    reached: dict[Hashable, list[tuple[int, int]]] = {}
    opened: list[tuple[int, str]] = []
    for action in program.actions:
        if isinstance(action, Spend):
            machine.spend(action.ns)
        elif isinstance(action, Launch):
            spans = machine.submit(
                action.works, action.stream, action.ns, api=action.name, graph=action.graph
            )
            _note(action, spans, ends, reached)
        elif isinstance(action, Sync):
            until = _until(action, ends, reached)
            stream = _name(action, ends)
            machine.synchronize(until, action.ns, api=action.name, kind=action.kind, stream=stream)
        elif isinstance(action, Hold):
            until = ends[action.last][1] if action.last in ends else 0
            machine.hold(action.stream, until, action.ns, api=action.name)
        elif isinstance(action, Plain):
            machine.call(action.name, action.ns)
        elif isinstance(action, Push):
            opened.append((machine.now, action.name))
        elif opened:
            start, name = opened.pop()
            machine.log.range(start, machine.now, name)
    while opened:
        start, name = opened.pop()
        machine.log.range(start, machine.now, name)
    return machine.log


def _note(
    action: Launch,
    spans: tuple[Span, ...],
    ends: dict[int, tuple[Hashable, int]],
    reached: dict[Hashable, list[tuple[int, int]]],
) -> None:
    lane = reached.setdefault(action.stream, [])
    for k, span in enumerate(spans):
        ends[action.first + k] = (action.stream, span.end)
    lane.append((action.first + len(spans) - 1, spans[-1].end))


def _until(
    action: Sync,
    ends: dict[int, tuple[Hashable, int]],
    reached: dict[Hashable, list[tuple[int, int]]],
) -> int:
    """When the operations that the call waits for are over; streams run in order."""
    if action.last < 0:
        return 0
    until = 0
    for stream in reached if action.streams is None else action.streams:
        lane = reached.get(stream, [])
        place = bisect_right(lane, (action.last, NEVER)) - 1
        if place >= 0:
            until = max(until, lane[place][1])
    own = ends.get(action.last)
    if own is not None and (action.streams is None or own[0] in action.streams):
        until = max(until, own[1])
    return until


def _name(action: Sync, ends: dict[int, tuple[Hashable, int]]) -> Hashable:
    if action.streams:
        return min(action.streams, key=str)
    return ends[action.last][0] if action.last in ends else next(iter(ends.values()), (7, 0))[0]
