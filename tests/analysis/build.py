"""Tiny traces, in microseconds, for tests that put the input beside the expected figure."""

from __future__ import annotations

from pathlib import Path

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

US = 1000


def builder() -> tuple[TraceBuilder, int]:
    """An empty trace and its main thread."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    process = trace.process(100, "python")
    trace.device(name="Test GPU", uuid="00000000-0000-0000-0000-000000000001")
    return trace, trace.thread(process, 100, "MainThread")


def report(trace: TraceBuilder, folder: Path, question: Question | None = None) -> TraceReport:
    """Write and analyse."""
    path = folder / "trace.sqlite"
    trace.write(path, force=True)
    return analyze(path, question)


def verdict(found: TraceReport, code: str) -> str | None:
    return next((str(v.level) for v in found.verdicts if v.code == code), None)


def decode_loop(
    steps: int = 14,
    *,
    host_us: int = 30,
    kernel_us: int = 100,
    kernels: int = 3,
    sync: str = "pageable",
    delay: dict[int, int] | None = None,
) -> TraceBuilder:
    """A synchronous loop: per step, launches, then a stop check that drains the queue.

    `sync`: `pageable` (cudaMemcpyAsync that holds the host), `stream` (pinned copy and
    cudaStreamSynchronize), `never`. `delay`: extra Python before a step, us by step number.
    """
    trace, thread = builder()
    host = 1000
    gpu = 0
    for number in range(steps):
        host += (delay or {}).get(number, 0)
        start = host
        host += 10
        forward = host
        for _ in range(kernels):
            begin = max(gpu + 1, host + 8)
            trace.launch(
                host * US, (host + 5) * US, begin * US, (begin + kernel_us) * US, thread=thread
            )
            gpu = begin + kernel_us
            host += 10
        trace.nvtx(forward * US, host * US, "Model Forward", thread=thread)
        check = host
        if sync != "never":
            begin = max(gpu + 1, host + 8)
            held = begin + 2 + 3 if sync == "pageable" else host + 5
            trace.copy(
                host * US, held * US, begin * US, (begin + 2) * US, bytes=1, thread=thread,
                dst_kind=0 if sync == "pageable" else 1,
            )  # fmt: skip
            gpu = begin + 2
            host = held
            if sync == "stream":
                trace.wait(host * US, (gpu + 3) * US, thread=thread)
                host = gpu + 3
        host += 5
        trace.nvtx(check * US, host * US, "Check Stop Condition", thread=thread)
        trace.nvtx(start * US, host * US, f"Step {number}", thread=thread)
        host += host_us
    return trace
