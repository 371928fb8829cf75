"""What the launcher does in a program that Nsight Systems records: evidence and CPU times by NVTX.

Loaded into the target by the launcher: only the standard library is used. Nothing is kept here:
ranges go to the tool, and the thread's CPU clock goes beside each range as a mark with a number,
so that both stand on the recording's own clock, and in it alone.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import threading
import time
from types import SimpleNamespace

from .cupti.hooks import ImportHooks
from .cupti.ranges import DEPTH, Recorder
from .evidence import Watcher
from .nvtx_client import open_domain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from .nvtx_client import Domain


class Marks:
    """Marks with the thread's CPU time, ns: one right after a range begins, one before it ends."""

    def __init__(self, domain: Domain, names: Mapping[str, str]) -> None:
        self._domain = domain
        self._begin, self._end = names["begin"], names["end"]

    def begin(self) -> None:
        """The range that this thread opened last has begun."""
        self._domain.mark(self._begin, time.thread_time_ns())

    def end(self) -> None:
        """The range that this thread closes next is about to end."""
        self._domain.mark(self._end, time.thread_time_ns())


class OwnRanges(Recorder):
    """The program's own ranges: they reach the tool by themselves, and only get marks, of which a
    pair costs 1.5 us."""

    def __init__(self, marks: Marks) -> None:
        super().__init__(SimpleNamespace(state=SimpleNamespace(value=1)))
        self._marks = marks
        self._depth = threading.local()

    def push(self, name: str, domain: str | None = None) -> None:
        """It has begun."""
        depths: dict[Any, int] = self._depth.__dict__
        depth = depths.get(domain, 0)
        depths[domain] = depth + 1
        if depth < DEPTH:
            self._marks.begin()

    def pop(self, domain: str | None = None) -> None:
        """It is about to end."""
        depths: dict[Any, int] = self._depth.__dict__
        depth = depths.get(domain, 0) - 1
        if depth >= 0:
            depths[domain] = depth
            if depth < DEPTH:
                self._marks.end()

    def start(self, handle: Any, name: str, domain: str | None = None) -> None:
        """It may end on another thread, whose CPU time says nothing of it."""

    def end(self, handle: Any) -> None:
        """As `start`."""


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


class UnderNsys:
    """Wires all that around one program; without a tool that listens to NVTX there is nothing."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._parts: tuple[Watcher, OwnRanges, ImportHooks] | None = None
        domain = open_domain(config["domain"])
        if domain is None:
            return
        marks = Marks(domain, config["marks"])
        names = config["evidence"]
        watcher = Watcher(names, Emitted(domain, marks, names["collection"].partition("{")[0]))
        ranges = OwnRanges(marks)
        hooks = {
            "torch.cuda.nvtx": functools.partial(_safely, ranges.watch_torch),
            "nvtx": functools.partial(_safely, ranges.watch_nvtx),
        }
        self._parts = watcher, ranges, ImportHooks(hooks | watcher.hooks())

    def watch(self) -> None:
        """Begin."""
        if self._parts is not None:
            watcher, _, hooks = self._parts
            atexit.register(self.finish)
            hooks.install()
            watcher.install()

    def finish(self) -> None:
        """Put everything back."""
        if self._parts is not None:
            watcher, ranges, hooks = self._parts
            hooks.remove()
            watcher.remove()
            ranges.restore()


def _safely(watch: Callable[[Any], None], module: Any) -> None:
    """A module of the target's own, or of another shape, is left as it is."""
    with contextlib.suppress(AttributeError, TypeError):
        watch(module)
