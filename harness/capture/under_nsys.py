"""What the launcher adds where Nsight Systems records: evidence and CPU times, by NVTX.

Loaded into the target by the launcher: only the standard library is used. Nothing is kept here:
ranges go to the tool, and the thread's CPU clock goes beside each range as a mark with a number,
so that both stand on the recording's own clock, and in it alone.
"""

from __future__ import annotations

import threading
import time

from .cupti.ranges import DEPTH
from .nvtx_client import open_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from .nvtx_client import Domain


class Marks:
    """Marks with the thread's CPU time, ns: one right after a range begins, one before it ends.

    The program's own ranges get them where they stand in fewer than `DEPTH` others of their domain
    and thread; a pair costs 1.5 us.
    """

    def __init__(self, domain: Domain, names: Mapping[str, str]) -> None:
        self._domain = domain
        self._begin, self._end = names["begin"], names["end"]
        self._depth = threading.local()

    def begin(self) -> None:
        """The range that this thread opened last has begun."""
        self._domain.mark(self._begin, time.thread_time_ns())

    def end(self) -> None:
        """The range that this thread closes next is about to end."""
        self._domain.mark(self._end, time.thread_time_ns())

    def opened(self, domain: str | None) -> None:
        """One of the program's own has begun."""
        depths: dict[Any, int] = self._depth.__dict__
        depth = depths.get(domain, 0)
        depths[domain] = depth + 1
        if depth < DEPTH:
            self.begin()

    def closes(self, domain: str | None) -> None:
        """One of the program's own is about to end."""
        depths: dict[Any, int] = self._depth.__dict__
        depth = depths.get(domain, 0) - 1
        if depth >= 0:
            depths[domain] = depth
            if depth < DEPTH:
                self.end()


class Emitted:
    """A sink of evidence that goes to the tool at once; a collection, which runs, has no marks."""

    def __init__(self, domain: Domain, marks: Marks, running: str) -> None:
        self._domain, self._marks = domain, marks
        self._running = running
        self._local = threading.local()

    def begin(self, name: str) -> None:
        """A range begins on this thread."""
        marked = not name.startswith(self._running)
        self._open().append(marked)
        self._domain.begin(name)
        if marked:
            self._marks.begin()

    def end(self) -> None:
        """The innermost range of this thread ends."""
        if self._open().pop():
            self._marks.end()
        self._domain.end()

    def _open(self) -> list[bool]:
        try:
            found: list[bool] = self._local.open
        except AttributeError:
            found = self._local.open = []
        return found


def sinks(config: Mapping[str, Any]) -> tuple[Emitted | None, Marks | None]:
    """Where evidence goes, and what marks ranges; (None, None) where no tool listens to NVTX."""
    domain = open_domain(config["domain"])
    if domain is None:
        return None, None
    marks = Marks(domain, config["marks"])
    return Emitted(domain, marks, config["evidence"]["collection"].partition("{")[0]), marks
