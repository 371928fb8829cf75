"""The recorded steps: opened and closed once, synchronised at both edges."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from ..nvtx import Ranges
    from ..runtime.base import Runtime


class Window(Protocol):
    """What a run tells of its steps: `CaptureWindow`, or a clock in its place."""

    @property
    def steps(self) -> tuple[int, int] | None:
        """The steps that it would have apart, half-open; None where it asks for none."""

    def before(self, step: int) -> None:
        """Called before step `step` opens its range."""

    def after(self, step: int) -> None:
        """Called after step `step` closed its range."""

    def close(self) -> None:
        """Called when the run is over, or has failed."""


class CaptureWindow:
    """Opens the profiler before step `first` and closes it before step `last`.

    Both edges synchronise, so that no earlier work is recorded and none of the window's is lost.
    On a CPU the range `harness capture` is opened around the same steps, since nsys has nothing
    else to go by there. `starts_ns` is the runtime's clock before each recorded step: the same
    figure with and without a profiler, so that one can be held against the other.
    """

    def __init__(self, steps: tuple[int, int] | None, runtime: Runtime, ranges: Ranges) -> None:
        self.steps = steps
        self.opened = False
        self.closed = False
        self.recorded = 0
        self.starts_ns: list[int] = []
        self._runtime = runtime
        self._range = ranges.capture if runtime.name == "cpu" else None

    def before(self, step: int) -> None:
        """Call before step `step` opens its range."""
        if self.steps is not None and step == self.steps[0]:
            self._runtime.synchronize()
            self._runtime.profiler_start()
            if self._range:
                self._range.__enter__()
            self.opened = True
        if self.opened and not self.closed:
            self.starts_ns.append(self._runtime.now_ns())

    def after(self, step: int) -> None:
        """Call after step `step` closed its range."""
        if self.opened and not self.closed:
            self.recorded += 1
            if self.steps is not None and step + 1 == self.steps[1]:
                self.close()

    def close(self) -> None:
        """Close it if it is open: the run may end inside the window."""
        if self.opened and not self.closed:
            self.closed = True
            self._runtime.synchronize()
            if self._range:
                self._range.__exit__()
            self._runtime.profiler_stop()
