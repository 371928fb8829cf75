"""CUDA graphs that are being captured: idling the GPU meanwhile would break them."""

from __future__ import annotations

import functools
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .ranges import Recorder


class Captures:
    """Counts torch.cuda's captures, on whatever thread they go on."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._count = 0

    def watch(self, torch: Any) -> None:
        """Wrap `torch.cuda.CUDAGraph`, by which `torch.cuda.graph` and the compiler capture."""
        graph: Any = getattr(getattr(torch, "cuda", None), "CUDAGraph", None)
        if not hasattr(graph, "capture_begin"):
            return
        begin, end = graph.capture_begin, graph.capture_end

        @functools.wraps(begin)
        def capture_begin(this: Any, *args: Any, **named: Any) -> Any:
            self._count += 1
            try:
                return begin(this, *args, **named)
            except BaseException:
                self._count -= 1
                raise

        @functools.wraps(end)
        def capture_end(this: Any, *args: Any, **named: Any) -> Any:
            try:
                return end(this, *args, **named)
            finally:
                self._count -= 1

        self._recorder.replace(graph, "capture_begin", capture_begin)
        self._recorder.replace(graph, "capture_end", capture_end)

    def going_on(self) -> bool:
        """Is one going on? Of other captures than PyTorch's, this thread's alone are known."""
        if self._count > 0:
            return True
        torch: Any = sys.modules.get("torch")
        cuda: Any = getattr(torch, "cuda", None)
        asked = getattr(cuda, "is_current_stream_capturing", None)
        return asked is not None and cuda.is_initialized() and bool(asked())
