"""When each step began, by the host's clock; stands where a capture window stands."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..runtime.base import Runtime


class StepClock:
    """Notes the host's time before each step; costs about 0.1 us a step. Records nothing else.

    In a loop that runs ahead of the device the host's steps are not the device's, but their mean
    is: the queue between them is bounded.
    """

    steps = None
    opened = False
    closed = False
    recorded = 0

    def __init__(self, runtime: Runtime) -> None:
        self._now_ns = runtime.now_ns
        self._began: list[int] = []
        self._ended = 0
        self._last_ns = 0

    def before(self, step: int) -> None:
        """Call before step `step`."""
        self._began.append(self._now_ns())

    def after(self, step: int) -> None:
        """Call after step `step`."""
        self._ended += 1
        self._last_ns = self._now_ns()

    def close(self) -> None:
        """The run is over."""

    def steps_ns(self) -> NDArray[np.int64]:
        """Length of each decode step, int64 ns, shape (steps executed - 1,): from its start to the
        next one's, the last one's to its end. Step 0, the prefill, is left out. Empty where one
        launch made several steps: nobody saw when each began."""
        if self._ended != len(self._began):
            return np.empty(0, np.int64)
        ends = np.array([*self._began[1:], self._last_ns], np.int64)
        return ends[1:] - ends[:-1]
