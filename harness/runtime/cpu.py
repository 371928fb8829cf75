"""The runtime on a CPU: work is done when the call returns, and flags can be made to land late.

There are no queues on a CPU, so streams only record who waited for whom, and a flag's copy lands at
once. `flag_delay` breaks that on purpose: a copy then lands only after that many further copies
were queued, or when the host waits for an event behind it. That is what a busy GPU does, and it
makes a loop that reads a flag without waiting fail here as it would there.
"""

from __future__ import annotations

import contextlib
import platform
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

from .base import Counters, Graph, Loop
from .errors import NoCudaGraphs


class CpuStream:
    """A name; `waited_for` is the log of `wait_stream`, oldest first."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waited_for: list[CpuStream] = []

    def wait_stream(self, other: CpuStream) -> None:
        self.waited_for.append(other)


class CpuFlag:
    """A bool whose copies land when the runtime says so."""

    def __init__(self, runtime: CpuRuntime) -> None:
        self._runtime = runtime
        self.value = False

    def copy_from(self, value: torch.Tensor) -> None:
        # Through numpy: reading one's own memory is no device read, and must not count as one.
        self._runtime._queue_copy(self, bool(value.numpy()))

    def load(self) -> bool:
        self._runtime.counters.flag_loads += 1
        return self.value

    def clear(self) -> None:
        self.value = False


class CpuEvent:
    """Passed once every copy queued before it has landed."""

    def __init__(self, runtime: CpuRuntime) -> None:
        self._runtime = runtime
        self._copies = 0
        self._ns = 0

    def record(self) -> None:
        self._copies = self._runtime.copies
        self._ns = self._runtime.now_ns()

    def synchronize(self) -> None:
        self._runtime.counters.event_waits += 1
        self._runtime._land(before=self._copies)

    def query(self) -> bool:
        return not any(index < self._copies for index, *_ in self._runtime.pending)

    def elapsed_ns(self, since: CpuEvent) -> int:
        return self._ns - since._ns


class CpuRuntime:
    """The CPU as a device. `flag_delay`: a number of copies, or a function of the copy's index."""

    name = "cpu"

    def __init__(self, flag_delay: int | Callable[[int], int] = 0) -> None:
        self.device = torch.device("cpu")
        self.counters = Counters()
        self.copies = 0
        self.pending: list[tuple[int, int, CpuFlag, bool]] = []
        self._delay = flag_delay if callable(flag_delay) else lambda _: flag_delay
        self._stream = CpuStream("default")

    def _queue_copy(self, flag: CpuFlag, value: bool) -> None:
        index = self.copies
        self.copies += 1
        self.pending.append((index, index + self._delay(index), flag, value))
        # One queue: a copy lands after those before it.
        while self.pending and self.pending[0][1] <= index:
            _, _, ready, landed = self.pending.pop(0)
            ready.value = landed

    def _land(self, before: int) -> None:
        while self.pending and self.pending[0][0] < before:
            _, _, flag, value = self.pending.pop(0)
            flag.value = value

    def new_stream(self) -> CpuStream:
        return CpuStream("side")

    def current_stream(self) -> CpuStream:
        return self._stream

    @contextlib.contextmanager
    def use_stream(self, stream: CpuStream) -> Iterator[None]:
        outer, self._stream = self._stream, stream
        try:
            yield
        finally:
            self._stream = outer

    def new_event(self, *, timing: bool = False) -> CpuEvent:
        return CpuEvent(self)

    def new_flag(self) -> CpuFlag:
        return CpuFlag(self)

    def read_flag(self, value: torch.Tensor) -> bool:
        self.counters.device_reads += 1
        return bool(value.item())

    def capture_graph(self, step: Callable[[], None], warm_up: Callable[[], None]) -> Graph:
        raise NoCudaGraphs(
            "a CPU has no CUDA graphs", remedy="run on a GPU, or choose --execution eager"
        )

    def capture_loop(
        self,
        step: Callable[[], None],
        warm_up: Callable[[], None],
        finished: torch.Tensor,
        position: torch.Tensor,
        limit: torch.Tensor,
    ) -> Loop:
        raise NoCudaGraphs("a CPU has no CUDA graphs")

    def synchronize(self) -> None:
        self.counters.synchronizes += 1
        self._land(before=self.copies)

    def profiler_start(self) -> None:
        """Nothing: on a CPU the range `harness capture` is what opens a recording."""

    def profiler_stop(self) -> None:
        """Nothing."""

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def reset_peak_memory(self) -> None:
        """The CPU allocator keeps no peaks."""

    def memory_statistics(self) -> dict[str, int]:
        return {}

    def facts(self) -> dict[str, Any]:
        return {
            "type": "cpu",
            "name": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
        }
