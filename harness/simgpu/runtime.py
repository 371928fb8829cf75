"""The runtime on a simulated GPU: the loop's own calls move virtual clocks.

Values are real, or made up by `sim.forward`; times are the machine's. A flag knows when each copy
into it lands, and a load before that returns the old value and is a race.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch

from ..analysis.gains.work import Work
from ..nvtx import Range
from ..runtime.base import Counters, Loop
from .device import DEFAULT_STREAM, Race, SimDevice

ARGB = {"blue": 0xFF0000FF, "green": 0xFF008000, "purple": 0xFF800080, "orange": 0xFFFFA500}


class SimStream:
    """A stream of the simulated device, by its streamId."""

    def __init__(self, device: SimDevice, number: int) -> None:
        self._device = device
        self.number = number

    def wait_stream(self, other: SimStream) -> None:
        passes = self._device.record_event(other.number)
        self._device.hold_stream(self.number, passes)


class SimEvent:
    """An event; never recorded it has passed."""

    def __init__(self, runtime: SimRuntime) -> None:
        self._runtime = runtime
        self.passes = 0

    def record(self) -> None:
        self.passes = self._runtime.sim.record_event()

    def synchronize(self) -> None:
        self._runtime.counters.event_waits += 1
        self._runtime.sim.wait_event(self.passes)

    def query(self) -> bool:
        return self._runtime.sim.query_event(self.passes)

    def elapsed_ns(self, since: SimEvent) -> int:
        return self.passes - since.passes


class SimFlag:
    """A pinned bool with the copies that are on their way into it."""

    def __init__(self, runtime: SimRuntime, slot: int) -> None:
        self._runtime = runtime
        self._slot = slot
        self._value = False
        self._coming: list[tuple[int, bool, int]] = []
        """(when it lands, the value, the step that queued it), in landing order."""

    def copy_from(self, value: torch.Tensor) -> None:
        runtime = self._runtime
        # The value as the device will have it when the copy runs: streams run in order, and the
        # loop changes the flag in place only behind this copy.
        landed = runtime.sim.copy_to_host(1)
        self._coming.append((landed.end, bool(value.numpy()), runtime.step))

    def load(self) -> bool:
        runtime = self._runtime
        runtime.counters.flag_loads += 1
        now = runtime.sim.now
        while self._coming and self._coming[0][0] <= now:
            self._value = self._coming.pop(0)[1]
        if self._coming:
            landing, value, step = self._coming[-1]
            runtime.races.append(
                Race(self._slot, runtime.step, step, landing - now, value != self._value)
            )
        return self._value

    def clear(self) -> None:
        now = self._runtime.sim.now
        self._coming = [copy for copy in self._coming if copy[0] > now]
        self._value = False


class SimGraph:
    """Nodes for the clocks, and the step itself for the values."""

    def __init__(
        self, device: SimDevice, number: int, nodes: tuple[Work, ...], step: Callable[[], None]
    ) -> None:
        self._device, self._number, self._nodes, self._step = device, number, nodes, step

    def replay(self) -> None:
        with self._device.silent():
            self._step()
        self._device.replay(self._number, self._nodes)


class SimRuntime:
    """One simulated GPU. `races` collects what the host read too early since `profiler_start`."""

    name = "sim"

    def __init__(self, sim: SimDevice) -> None:
        self.sim = sim
        self.device = torch.device("cpu")
        self.counters = Counters()
        self.races: list[Race] = []
        self.step = 0
        self.opened_at = 0
        self.closed_at = 0
        self._slots = 0
        self._stream = SimStream(sim, DEFAULT_STREAM)
        self._open: list[tuple[str, int]] = []
        sim.machine.log.recording = False

    def make_range(self, name: str, colour: str) -> Range:
        """A range in virtual time, for `nvtx.Ranges`."""
        machine, cost = self.sim.machine, self.sim.host_ns("range_ns")
        step = int(name.rpartition(" ")[2]) if name.startswith("Step ") else None

        def push() -> None:
            machine.spend(cost)
            if step is not None:
                self.step = step
                self.sim.step_ops.clear()
            self._open.append((name, machine.now))

        def pop() -> None:
            machine.spend(cost)
            opened, start = self._open.pop()
            if step is not None:
                self.sim.last_step = tuple(self.sim.step_ops)
            machine.log.range(start, machine.now, opened, ARGB.get(colour))

        return Range(push, pop)

    def new_stream(self) -> SimStream:
        return SimStream(self.sim, self.sim.new_stream())

    def current_stream(self) -> SimStream:
        return self._stream

    @contextlib.contextmanager
    def use_stream(self, stream: SimStream) -> Iterator[None]:
        outer, self._stream = self._stream, stream
        self.sim.stream = stream.number
        try:
            yield
        finally:
            self._stream = outer
            self.sim.stream = outer.number

    def new_event(self, *, timing: bool = False) -> SimEvent:
        return SimEvent(self)

    def new_flag(self) -> SimFlag:
        self._slots += 1
        return SimFlag(self, self._slots - 1)

    def read_flag(self, value: torch.Tensor) -> bool:
        self.counters.device_reads += 1
        self.sim.read()
        return bool(value.numpy())

    def capture_graph(self, step: Callable[[], None], warm_up: Callable[[], None]) -> SimGraph:
        side = self.new_stream()
        side.wait_stream(self._stream)
        with self.use_stream(side):
            warm_up()
        self._stream.wait_stream(side)
        number, nodes = self.sim.capture(step)
        return SimGraph(self.sim, number, nodes, step)

    def capture_loop(
        self,
        step: Callable[[], None],
        warm_up: Callable[[], None],
        finished: torch.Tensor,
        position: torch.Tensor,
        limit: torch.Tensor,
    ) -> Loop:
        raise NotImplementedError("simulate() refuses such a strategy first")

    def synchronize(self) -> None:
        self.counters.synchronizes += 1
        self.sim.priming = False  # the decoder has warmed up and waits for it
        self.sim.synchronize()

    def profiler_start(self) -> None:
        self.races.clear()
        self.opened_at = self.sim.now
        self.sim.machine.log.recording = True

    def profiler_stop(self) -> None:
        self.closed_at = self.sim.now
        self.sim.machine.log.recording = False

    def now_ns(self) -> int:
        return self.sim.now

    def reset_peak_memory(self) -> None:
        self.sim.memory.peak_allocated = self.sim.memory.allocated
        self.sim.memory.peak_reserved = self.sim.memory.reserved

    def memory_statistics(self) -> dict[str, int]:
        memory, weights = self.sim.memory, self.sim.weight_bytes
        return {
            "peak_allocated_bytes": memory.peak_allocated + weights,
            "peak_reserved_bytes": memory.peak_reserved + weights,
            "allocated_bytes": memory.allocated + weights,
            "reserved_bytes": memory.reserved + weights,
            "device_allocations": memory.driver_calls,
            "device_frees": memory.driver_frees,
        }

    def facts(self) -> dict[str, Any]:
        gpu = self.sim.gpu
        return {
            "type": "sim",
            "name": f"{gpu.name} (simulated)",
            "gpu_file": gpu.path.name,
            "memory_bytes": round(gpu.values["memory", "bytes"]),
        }
