"""The runtime over torch.cuda."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from .base import Counters, Graph, Loop
from .errors import NoCudaDevice

_MEMORY_KEYS = {
    "allocated_bytes.all.peak": "peak_allocated_bytes",
    "reserved_bytes.all.peak": "peak_reserved_bytes",
    "allocated_bytes.all.current": "allocated_bytes",
    "reserved_bytes.all.current": "reserved_bytes",
    "num_alloc_retries": "allocation_retries",
    "num_device_alloc": "device_allocations",
    "num_device_free": "device_frees",
}


class CudaEvent:
    """A torch.cuda.Event that counts the host's waits. It spins rather than sleeps: a wake-up from
    a sleeping wait costs tens of microseconds, which is what the loop tries to save."""

    def __init__(self, counters: Counters, timing: bool) -> None:
        self._event = torch.cuda.Event(enable_timing=timing)
        self._counters = counters

    def record(self) -> None:
        self._event.record()

    def synchronize(self) -> None:
        self._counters.event_waits += 1
        self._event.synchronize()

    def query(self) -> bool:
        return bool(self._event.query())

    def elapsed_ns(self, since: CudaEvent) -> int:
        # elapsed_time is milliseconds in single precision, about 0.5 us resolution.
        milliseconds: float = since._event.elapsed_time(self._event)
        return round(milliseconds * 1e6)


class CudaFlag:
    """A page-locked bool; loaded through numpy, because `.item()` dispatches for nothing."""

    def __init__(self, counters: Counters) -> None:
        self._slot = torch.zeros((), dtype=torch.bool, pin_memory=True)
        self._view = self._slot.numpy()
        self._counters = counters

    def copy_from(self, value: torch.Tensor) -> None:
        self._slot.copy_(value, non_blocking=True)

    def load(self) -> bool:
        self._counters.flag_loads += 1
        return bool(self._view)

    def clear(self) -> None:
        self._view[...] = False


class CudaRuntime:
    """One CUDA device, the current one."""

    name = "cuda"

    def __init__(self) -> None:
        if not torch.cuda.is_available():
            raise NoCudaDevice("no CUDA device is visible to PyTorch here")
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.counters = Counters()

    def new_stream(self) -> torch.cuda.Stream:
        return torch.cuda.Stream(self.device)

    def current_stream(self) -> torch.cuda.Stream:
        return torch.cuda.current_stream(self.device)

    def use_stream(self, stream: torch.cuda.Stream) -> AbstractContextManager[Any]:
        context: AbstractContextManager[Any] = torch.cuda.stream(stream)
        return context

    def new_event(self, *, timing: bool = False) -> CudaEvent:
        return CudaEvent(self.counters, timing)

    def new_flag(self) -> CudaFlag:
        return CudaFlag(self.counters)

    def read_flag(self, value: torch.Tensor) -> bool:
        self.counters.device_reads += 1
        return bool(value.item())

    def capture_graph(self, step: Callable[[], None], warm_up: Callable[[], None]) -> Graph:
        graph: Graph = self._captured(step, warm_up, torch.cuda.CUDAGraph())
        return graph

    def capture_loop(
        self,
        step: Callable[[], None],
        warm_up: Callable[[], None],
        finished: torch.Tensor,
        position: torch.Tensor,
        limit: torch.Tensor,
    ) -> Loop:
        from .while_graph import WhileGraph

        graph = self._captured(step, warm_up, torch.cuda.CUDAGraph(keep_graph=True))
        return WhileGraph(graph, finished, position, limit)

    def _captured(
        self,
        step: Callable[[], None],
        warm_up: Callable[[], None],
        graph: torch.cuda.CUDAGraph,
    ) -> torch.cuda.CUDAGraph:
        here = self.current_stream()
        side = self.new_stream()
        side.wait_stream(here)
        with torch.cuda.stream(side):
            warm_up()
        here.wait_stream(side)
        with torch.cuda.graph(graph):
            step()
        return graph

    def synchronize(self) -> None:
        self.counters.synchronizes += 1
        torch.cuda.synchronize(self.device)

    def profiler_start(self) -> None:
        torch.cuda.profiler.start()

    def profiler_stop(self) -> None:
        torch.cuda.profiler.stop()

    def now_ns(self) -> int:
        return time.perf_counter_ns()

    def reset_peak_memory(self) -> None:
        torch.cuda.reset_peak_memory_stats(self.device)

    def memory_statistics(self) -> dict[str, int]:
        found = torch.cuda.memory_stats(self.device)
        return {name: int(found.get(key, 0)) for key, name in _MEMORY_KEYS.items()}

    def facts(self) -> dict[str, Any]:
        properties = torch.cuda.get_device_properties(self.device)
        return {
            "type": "cuda",
            "name": properties.name,
            "capability": f"{properties.major}.{properties.minor}",
            "memory_bytes": properties.total_memory,
            "multiprocessors": properties.multi_processor_count,
            "uuid": str(getattr(properties, "uuid", "")) or None,
            "tf32_matmul": torch.backends.cuda.matmul.allow_tf32,
        }
