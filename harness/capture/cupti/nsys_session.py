"""The session inside a target that runs under nsys: opens and closes the range that nsys waits for.

On a GPU by cudaProfilerStart and Stop, on a CPU by the NVTX range `harness capture`. nsys records
from outside; nothing is kept here.
"""

from __future__ import annotations

import ctypes
import sys

from . import facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

CAPTURE = "harness capture"


class _State:
    value = 0


class NsysSession:
    """The same face as the sessions that record by themselves."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._config = config
        self.state = self.recording = _State()
        self.markers = False
        self._range: Any = None
        self._calls: tuple[Any, Any] | None = None

    def attach(self) -> None:
        """Nothing to attach: nsys is there already."""

    def theirs(self) -> None:
        """The program has called cudaProfilerStart, and nsys saw it."""
        self.state.value = self.state.value or 1

    def start(self) -> None:
        """Have nsys begin."""
        if self.state.value:
            return
        self.state.value = 1
        if self._config["device"] == "cuda":
            _synchronize()
            self._calls = _profiler_calls()
            self._calls[0]()
        else:
            import nvtx

            self._range = nvtx.start_range(CAPTURE)

    def no_blocks(self) -> str:
        """Why no stretch can be recorded besides the session."""
        return "Nsight Systems stays in the process after its range"

    def let_go(self) -> None:
        """Nothing to let go of."""

    def check_started(self) -> None:
        """nsys does not say."""

    def launches(self) -> tuple[int, bool] | None:
        """Allocations, on a GPU; see `facts`."""
        return facts.allocations() if self._config["device"] == "cuda" else None

    def stop(self) -> None:
        """Have nsys end, once everything that was launched is done."""
        if self.state.value != 1:
            return
        self.state.value = 2
        if self._calls is not None:
            _synchronize()
            self._calls[1]()
        elif self._range is not None:
            import nvtx

            nvtx.end_range(self._range)

    def save(self, folder: str) -> None:
        """nsys writes."""

    def finish(self, folder: str) -> None:
        """Close it where it is open."""
        self.stop()

    def describe(self) -> dict[str, Any]:
        """Facts for host.json."""
        return {"road": "nsys"}


def _synchronize() -> None:
    torch: Any = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def _profiler_calls() -> tuple[Any, Any]:
    """Start and stop: PyTorch's where it is there, else the driver's."""
    torch: Any = sys.modules.get("torch")
    runtime = getattr(getattr(torch, "_C", None), "_cudart", None)
    if runtime is not None:
        return (
            getattr(runtime.cudaProfilerStart, "__wrapped__", runtime.cudaProfilerStart),
            getattr(runtime.cudaProfilerStop, "__wrapped__", runtime.cudaProfilerStop),
        )
    cuda = ctypes.CDLL("libcuda.so.1")
    return cuda.cuProfilerStart, cuda.cuProfilerStop
