"""The small protocol between the decode loop and whatever it runs on.

Everything by which the host waits for the device, or reads a value of it, is here and nowhere else:
the loop calls no torch.cuda. An implementation counts its waits in `counters`, so that what a
strategy declares can be held against what happened. Three implementations are meant: `cuda.py`
(real), `cpu.py` (real, with flags that can be made to land late), and a simulated one with virtual
clocks.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import torch


@dataclasses.dataclass
class Counters:
    """How often the host waited since `reset`, by kind; the runtime adds, the target reports.

    `device_reads`: blocking reads of a device value. `event_waits`: `Event.synchronize`.
    `flag_loads`: plain loads of a pinned flag, which wait for nothing. `synchronizes`: waits for
    the whole device (window edges, the end of a run).
    """

    device_reads: int = 0
    event_waits: int = 0
    flag_loads: int = 0
    synchronizes: int = 0

    def reset(self) -> None:
        """Back to zero."""
        for field in dataclasses.fields(self):
            setattr(self, field.name, 0)


class Stream(Protocol):
    """A queue of device work that runs in order."""

    def wait_stream(self, other: Any) -> None:
        """Later work here starts after all work queued on `other` so far; the host goes on."""


class Event(Protocol):
    """A marker in a stream."""

    def record(self) -> None:
        """Place it after all work queued so far on the current stream."""

    def synchronize(self) -> None:
        """Hold the host until the device has passed the marker; counted as an event wait."""

    def query(self) -> bool:
        """Whether the device has passed the marker; never waits."""

    def elapsed_ns(self, since: Any) -> int:
        """Device time from the event `since` to this one, ns; both `timing`, and both passed."""


class Flag(Protocol):
    """One boolean in page-locked host memory, which the device writes when a copy lands."""

    def copy_from(self, value: torch.Tensor) -> None:
        """Queue a copy of a zero-dimensional bool on the current stream; the host does not wait."""

    def load(self) -> bool:
        """What the slot holds at this moment, landed or not; a plain load, waits for nothing."""

    def clear(self) -> None:
        """Write False from the host; only while no copy is under way."""


class Graph(Protocol):
    """A recorded sequence of device work."""

    def replay(self) -> None:
        """Queue it again on the current stream, with the same addresses."""


class Loop(Protocol):
    """A recorded step that the device repeats by itself."""

    def run(self) -> None:
        """Queue it: steps follow one another until the flag is set or the limit is reached."""


class Runtime(Protocol):
    """A device, its queues, and the host's few ways of waiting for it."""

    name: str
    device: torch.device
    counters: Counters

    def new_stream(self) -> Stream:
        """A side stream."""

    def current_stream(self) -> Stream:
        """The stream that work goes to now."""

    def use_stream(self, stream: Any) -> AbstractContextManager[Any]:
        """Send work to `stream` inside the context; may be entered again and again."""

    def new_event(self, *, timing: bool = False) -> Event:
        """An event; `timing` where `elapsed_ns` will be asked."""

    def new_flag(self) -> Flag:
        """A pinned flag, False."""

    def read_flag(self, value: torch.Tensor) -> bool:
        """Read a zero-dimensional bool from the device; drains the queue, counted as a read."""

    def capture_graph(self, step: Callable[[], None], warm_up: Callable[[], None]) -> Graph:
        """Call `warm_up` on a side stream, then record one run of `step` as a graph.

        `step` must keep its addresses and never wait. Recording runs nothing on a real device;
        warming up does, so whatever it changes is the caller's to reset afterwards.
        """

    def capture_loop(
        self,
        step: Callable[[], None],
        warm_up: Callable[[], None],
        finished: torch.Tensor,
        position: torch.Tensor,
        limit: torch.Tensor,
    ) -> Loop:
        """As `capture_graph`, for a loop: `step` again and again while not `finished` (bool, zero
        dimensions) and `position < limit` (int64, one element each), all looked at by the device.
        """

    def synchronize(self) -> None:
        """Hold the host until all queued work is done."""

    def profiler_start(self) -> None:
        """Open the profiler's capture range (cudaProfilerStart, or what stands for it)."""

    def profiler_stop(self) -> None:
        """Close it."""

    def now_ns(self) -> int:
        """The host's monotonic clock, ns."""

    def reset_peak_memory(self) -> None:
        """Start `memory_statistics` peaks afresh."""

    def memory_statistics(self) -> dict[str, int]:
        """Bytes and counts by name; empty where the device keeps none."""

    def facts(self) -> dict[str, Any]:
        """What the device is: name, capability, memory."""
