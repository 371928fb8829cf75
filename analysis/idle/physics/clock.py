"""The clocks of host and GPU, held against each other.

An operation cannot begin before its launch was called, and a wait cannot return before the work
that it waits for has ended. The first shows a GPU clock that is behind, the second one that is
ahead. Rows that begin long before their launch are no matter of clocks: their times, or the ids
that name their launch, are wrong.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool, groups
from ...model.cuda_calls import copied_to_host, named
from ...model.intervals import Int64
from ...model.schema import MAX_TIME
from ...store.folder import Array
from .waited import ALL, ONE, Waits

LONG_BEFORE = 1_000_000
"""How long before its launch an operation begins that no clock explains, ns."""

COPIES_THAT_WAIT = frozenset({"cudaMemcpy", "cuMemcpyDtoH", "hipMemcpy", "hipMemcpyDtoH"})
"""Copies to the host that return when they are done."""

MICROSECOND = 1_000


class BeforeLaunch(Struct, frozen=True):
    """Operations that begin long before the call that launched them."""

    joined: int = 0
    """Operations whose launch is known."""
    early: int = 0
    worst_ns: int = 0


class EarlyReturns(Struct, frozen=True):
    """Waits that returned before the work they waited for had ended."""

    waits: int = 0
    """Those of which it is known what they waited for."""
    broken: int = 0
    worst_ns: int = 0


class Starts:
    """Adds up the parts of a trace."""

    def __init__(self) -> None:
        self._joined = self._early = self._worst = 0

    def add(self, start: Int64, called: Int64) -> None:
        """`called`: when the launch of each operation began."""
        self._joined += len(start)
        ahead = called - start
        early = ahead > LONG_BEFORE
        if early.any():
            self._early += int(np.count_nonzero(early))
            self._worst = max(self._worst, int(ahead.max()))

    def result(self) -> BeforeLaunch:
        return BeforeLaunch(self._joined, self._early, self._worst)


class Returns:
    """Adds up the parts of a trace. Keeps one time for each wait."""

    def __init__(self, waits: Waits, names: tuple[str, ...]) -> None:
        self._copying = named(names, COPIES_THAT_WAIT.__contains__)
        self._any_copying = bool(self._copying.any())
        self._waits = waits
        self._reach = np.full(len(waits.begin), -MAX_TIME)
        """The latest end among the work launched since the wait before, shape (waits,)."""
        self._queues = dict(waits.queues())
        self._work: dict[tuple[int, int], tuple[int, int, int, int]] = {}
        """Lowest and highest device, lowest and highest stream of the operations of each queue."""
        self._copies = self._broken = self._worst = 0

    @property
    def idle(self) -> bool:
        """Whether there is nothing to hold operations against."""
        return not self._queues and not self._any_copying

    def add(self, rows: dict[str, Array], called: dict[str, Array]) -> None:
        """Operations whose launch is known, and for each the call's `start`, `end` and `name`."""
        if self._any_copying:
            self._copied(rows, called)
        for process, mine in groups(rows["process"]) if self._queues else ():
            for place in ((process, ALL), (process, ONE)):
                self._launched(place, mine, rows, called)
            for stream, some in groups(rows["stream"][mine]):
                self._launched((process, stream), mine[some], rows, called)

    def _launched(
        self, place: tuple[int, int], mine: Int64, rows: dict[str, Array], called: dict[str, Array]
    ) -> None:
        queue = self._queues.get(place)
        if queue is None:
            return
        device, stream = rows["device"][mine], rows["stream"][mine]
        found = int(device.min()), int(device.max()), int(stream.min()), int(stream.max())
        known = self._work.get(place, found)
        self._work[place] = (
            min(known[0], found[0]), max(known[1], found[1]),
            min(known[2], found[2]), max(known[3], found[3]),
        )  # fmt: skip
        at = np.searchsorted(self._waits.begin[queue], called["end"][mine], side="left")
        mine, at = mine[at < len(queue)], queue[at[at < len(queue)]]
        # A clock that is ahead by so much shows the start too so much later than the launch. What
        # began sooner is not what this wait, of another context or an empty stream, waited for.
        late = rows["end"][mine] - self._waits.end[at]
        waited = rows["start"][mine] - called["start"][mine] >= late - MICROSECOND
        np.maximum.at(self._reach, at[waited], rows["end"][mine[waited]])

    def _copied(self, rows: dict[str, Array], called: dict[str, Array]) -> None:
        mine = self._copying[called["name"]] & copied_to_host(rows["kind"], rows["copy_kind"])
        self._judge(rows["end"][mine], called["end"][mine])

    def _judge(self, done: Int64, returned: Int64) -> None:
        self._copies += len(done)
        late = done - returned
        broken = late > _tolerance(done, returned)
        if broken.any():
            self._broken += int(np.count_nonzero(broken))
            self._worst = max(self._worst, int(late[broken].max()))

    def result(self) -> EarlyReturns:
        for place, queue in self._queues.items():
            if not self._certain(place):
                continue
            reach = np.maximum.accumulate(self._reach[queue])
            some = reach > -MAX_TIME
            self._judge(reach[some], self._waits.end[queue][some])
        return EarlyReturns(self._copies, self._broken, self._worst)

    def _certain(self, place: tuple[int, int]) -> bool:
        """Whether one queue is one device's, and where the stream is not known, one stream's."""
        if place not in self._work:
            return False
        device, last_device, stream, last_stream = self._work[place]
        return device == last_device and (place[1] != ONE or stream == last_stream)


def _tolerance(done: Int64, returned: Int64) -> Int64:
    """A microsecond for times that are rounded to whole ones; nothing else needs any."""
    rounded: Bool = (done % MICROSECOND == 0) & (returned % MICROSECOND == 0)
    return np.where(rounded, MICROSECOND, 0)
