"""Build a trace row by row in Nsight Systems' own SQLite schema.

One builder for the worked examples, the tests, the simulated GPU and the capture that needs no
nsys. NVIDIA's report scripts read the files as they read an export of nsys.

    trace = TraceBuilder(producer="builder", origin="synthetic")
    python = trace.thread(trace.process(100), 100, "MainThread")
    trace.nvtx(1_000, 9_000, "Step 0", thread=python)
    trace.launch(2_000, 5_000, 6_000, 8_000, name="gemm", thread=python)
    trace.write(Path("one-step.sqlite"))
"""

from __future__ import annotations

from ..model.schema import PID_MASK, CopyKind, SyncType
from .gpu_rows import DEVICE, MANAGED, PAGEABLE, PINNED, GpuRows
from .host_rows import HostRows
from .tracefile import Origin

__all__ = [
    "DEVICE",
    "MANAGED",
    "PAGEABLE",
    "PINNED",
    "CopyKind",
    "Origin",
    "SyncType",
    "TraceBuilder",
]


class TraceBuilder(GpuRows, HostRows):
    """Collects events and writes them as one SQLite trace.

    Times are integer nanoseconds since the start of the capture, half-open `[start, end)`.
    `thread` arguments take what `thread()` returned (a globalTid), `process` arguments what
    `process()` returned (a globalPid). Arguments of the constructor: see `TraceFile`.

    Raises:
        TraceError: from every row method, when a row is invalid; one line that says why.
    """

    def launch(
        self,
        api_start: int,
        api_end: int,
        start: int,
        end: int,
        *,
        name: str = "kernel",
        thread: int,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        api_name: str = "cudaLaunchKernel_v7000",
    ) -> int:
        """A launch call on `thread` and its kernel; returns the correlation id they share."""
        correlation = self.api(api_start, api_end, api_name, thread=thread)
        self.kernel(
            start, end, name=name, correlation=correlation, process=thread & PID_MASK,
            device=device, context=context, stream=stream,
        )  # fmt: skip
        return correlation

    def copy(
        self,
        api_start: int,
        api_end: int,
        start: int,
        end: int,
        *,
        bytes: int,
        thread: int,
        copy_kind: int = CopyKind.DTOH,
        src_kind: int = DEVICE,
        dst_kind: int = PAGEABLE,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
        api_name: str = "cudaMemcpyAsync_v3020",
    ) -> int:
        """A copy call on `thread` and its copy; returns the correlation id they share."""
        correlation = self.api(api_start, api_end, api_name, thread=thread)
        self.memcpy(
            start, end, bytes=bytes, correlation=correlation, process=thread & PID_MASK,
            copy_kind=copy_kind, src_kind=src_kind, dst_kind=dst_kind,
            device=device, context=context, stream=stream,
        )  # fmt: skip
        return correlation

    def wait(
        self,
        start: int,
        end: int,
        *,
        thread: int,
        api_name: str = "cudaStreamSynchronize_v3020",
        sync_type: int = SyncType.STREAM,
        device: int = 0,
        context: int = 1,
        stream: int = 7,
    ) -> int:
        """A synchronising call on `thread` and its SYNCHRONIZATION row, over the same time."""
        correlation = self.api(start, end, api_name, thread=thread)
        self.synchronization(
            start, end, correlation=correlation, process=thread & PID_MASK, sync_type=sync_type,
            device=device, context=context, stream=stream,
        )  # fmt: skip
        return correlation
