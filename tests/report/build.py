"""Small traces with every figure known, for the drawings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from harness.analysis.analyze import analyze
from harness.analysis.question import Question, StepPattern
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Report
from harness.analysis.writer.writer import TraceBuilder

US = 1_000
HOSTILE = "<script>alert(1)</script>\"'&\x1b[31m\u202e{{7*7}}"
"""A name that tries everything: markup, quotes, a terminal escape, direction, a template."""


def loop(
    path: Path,
    strategy: str = "sync",
    *,
    steps: int = 14,
    waits: bool = True,
    slow: int | None = 9,
    origin: Any = "synthetic",
    kernel: str = "gemm",
    inner: str = "Model Forward",
    manifest: dict[str, Any] | None = None,
) -> Path:
    """Steps of 3 kernels of 20 us, launched 10 us apart; then, with `waits`, a synchronise.

    With the wait the GPU idles 30 us before each step (step `slow`: 80 us more).
    """
    trace = TraceBuilder(producer="builder", origin=origin, strategy=strategy)
    thread = trace.thread(trace.process(1000), 1000, "python")
    trace.device(0, name="Example GPU", uuid="GPU-1")
    now, free = 100 * US, 0
    for step in range(steps):
        begin = now
        call = begin + 5 * US + (80 * US if step == slow else 0)
        first = call
        for _ in range(3):
            start = max(call + 5 * US, free)
            free = start + 20 * US
            trace.launch(call, call + 4 * US, start, free, name=kernel, thread=thread)
            call += 10 * US
        trace.nvtx(first, call, inner, thread=thread)
        if waits:
            end = max(free, call) + 10 * US
            trace.wait(call, end, thread=thread)
            call = end
        trace.nvtx(begin, call + 2 * US, f"Step {step}", thread=thread)
        now = call + 8 * US
    trace.write(path)
    if manifest is not None:
        path.with_suffix(".json").write_text(json.dumps({"manifest_version": 1} | manifest))
    return path


def analyzed(*paths: Path, step: str | None = None) -> Report:
    """The report of some traces, as the commands make it."""
    patterns = (StepPattern.glob(step),) if step else Question().patterns
    found: tuple[TraceReport, ...] = tuple(analyze(p, Question(patterns=patterns)) for p in paths)
    return Report(found, (), tool_version="1.2.3")
