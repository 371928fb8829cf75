"""The device of a loop. `cuda` is torch.cuda where there is a GPU, else a stand-in with its names.

The stand-in lets every line of a loop run on a CPU, so that a mistake is found without a GPU.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")


class _Stream:
    def wait_stream(self, stream: Any) -> None:
        pass

    def wait_event(self, event: Any) -> None:
        pass

    def synchronize(self) -> None:
        pass


class _Event:
    def __init__(self, enable_timing: bool = False) -> None:
        self._at = 0

    def record(self, stream: Any = None) -> None:
        self._at = time.perf_counter_ns()

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end_event: _Event) -> float:
        """Time to the other event, ms."""
        return (end_event._at - self._at) / 1e6


class _Graph:
    def __init__(self) -> None:
        self.replay: Callable[[], None] = lambda: None


class _Jiterator:
    @staticmethod
    def _create_jit_fn(code_string: str) -> Callable[[torch.Tensor], torch.Tensor]:
        return torch.sin


class StandIn:
    """What the loops use of torch.cuda."""

    Stream = _Stream
    Event = _Event
    CUDAGraph = _Graph
    jiterator = _Jiterator

    @staticmethod
    def current_stream() -> _Stream:
        return _Stream()

    @staticmethod
    @contextlib.contextmanager
    def stream(stream: Any) -> Iterator[None]:
        yield

    graph = stream

    @staticmethod
    def synchronize() -> None:
        pass

    @staticmethod
    def empty_cache() -> None:
        pass

    @staticmethod
    def _sleep(cycles: int) -> None:
        pass


if ON_GPU:
    import torch.cuda.jiterator

cuda: Any = torch.cuda if ON_GPU else StandIn


def pinned(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor in page-locked memory."""
    return tensor.pin_memory() if ON_GPU else tensor


def size(full: int, tiny: int) -> int:
    """`full` on a GPU, `tiny` where a CPU only shows that the loop runs."""
    return full if ON_GPU else tiny
