"""A recorded loop as arrays: what the host did, call by call, and the work that it queued."""

from __future__ import annotations

from msgspec import Struct

from ..model.arrays import Bool
from ..model.intervals import Int64
from .machine import NEVER, Timing
from .stretch import Stretch

TO_HOST, TO_DEVICE, ON_DEVICE, NO_COPY = 0, 1, 2, -1
COPY, POLL, FLAGGED, CALL, STAGED, FREED = "copy", "poll", "flag", "call", "staged", "freed"
"""How the host waits: see `Wait.how`."""


class Wait(Struct, frozen=True):
    """A wait of the host."""

    action: int
    targets: tuple[int, ...]
    """Operations that it waits for, one a stream at most."""
    how: str
    """`copy`: a copy to the host that held its call; `staged`: one from pageable memory; `freed`: a
    call that gave memory back and did so when the device was idle; `poll`, `flag`, or the `call`
    that waits."""
    name: str
    """What waited, as a person calls it."""
    wake: int
    """From the end of the last target to the return, ns."""
    ns: int
    """For how long it held the host, as recorded: of a poll, from its first query on."""
    running: int = NEVER
    """Until when it waits for work that was queued before the stretch, ns."""


class Hold(Struct, frozen=True):
    """A call that makes a stream wait: `lane` for the operation `target`; -1 for none."""

    action: int
    lane: int
    target: int


class Loop(Struct, frozen=True, eq=False, weakref=True):
    """One stretch. Actions are calls in host order, and waits that no call shows; operations are
    in launch order, those of one launch that overlap made one. Times in ns.

    Shapes: (actions,) from `clock` to `queued`, (pieces,) of `piece_*`, (operations,) from `action`
    to `recorded_end`.
    """

    stretch: Stretch
    timing: Timing
    clock: Int64
    """Whose clock: threads that take turns have one, others one each."""
    step: Int64
    """0 is the step before the first one."""
    start: Int64
    """As recorded."""
    before: Int64
    """Host time between the call before it on its clock and this one, waits left out."""
    length: Int64
    """Of the call, as recorded; 0 of a wait that no call shows."""
    own: Int64
    """What the call takes by itself: without waiting for work, or for room in the queue."""
    call_row: Int64
    """The call's row in the trace of the stretch; of a wait that no call shows, that of the call
    that ended it."""
    name: Int64
    """Index into the names of the trace's calls; -1 of a wait that no call shows."""
    site: Int64
    """Index into `sites`: the innermost range that the call stands in."""
    queued: Int64
    """How many operations were launched before it: its own are the next `count`."""
    count: Int64
    piece_action: Int64
    piece_site: Int64
    piece_ns: Int64
    """`before`, by the range that it was spent in."""
    piece_start: Int64
    action: Int64
    """The call that launched it."""
    duration: Int64
    late: Int64
    """How much later it started than launches, work and waits of its stream allow: see `late`."""
    chained: Bool
    """It is not the first that its call launched: a node of a graph."""
    lane: Int64
    """Which stream, from 0."""
    direction: Int64
    """Of a copy `TO_HOST`, `TO_DEVICE` or `ON_DEVICE`; `NO_COPY` for other work."""
    pageable: Bool
    talks: Bool
    """It is communication between ranks."""
    row: Int64
    """Of the (first) operation in the trace of the stretch."""
    recorded_start: Int64
    recorded_end: Int64
    running: Int64
    """Until when each stream was busy with earlier work, `NEVER` if it was not; shape (lanes,)."""
    sites: tuple[str, ...]
    """Families of ranges; the first stands for none."""
    site_wall: Int64
    """By family of ranges, how long the thread that runs the steps was in them, inner ranges left
    out; 0 where nobody noted it. Shape (sites,)."""
    site_ran: Int64
    """For how long of that it had a core."""
    clocks: int
    waits: tuple[Wait, ...] = ()
    holds: tuple[Hold, ...] = ()
    full: int = 0
    """Launch calls that waited for room in the queue."""

    @property
    def steps(self) -> int:
        """How many count: the step before them is not among them."""
        return len(self.stretch.step_start) - 1

    @property
    def lanes(self) -> int:
        return len(self.running)

    @property
    def actions(self) -> int:
        return len(self.clock)

    @property
    def counted(self) -> Bool:
        """Which actions stand in steps that count."""
        return self.step > 0

    def launching(self) -> Bool:
        """Which actions queue work."""
        return self.count > 0

    def call(self, action: int) -> str:
        """The name of its call; empty where no call shows it."""
        name = int(self.name[action])
        return self.stretch.trace.calls.names[name] if name >= 0 else ""
