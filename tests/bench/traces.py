"""Small traces with known step times, for comparisons."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.analysis.writer.writer import TraceBuilder


def write_trace(
    path: Path,
    steps_us: Sequence[float],
    *,
    busy_us: float = 50,
    gpu: bool = True,
    manifest: dict[str, Any] | None = None,
) -> Path:
    """One loop: each step launches one kernel of `busy_us`, and takes `steps_us` from launch to
    launch. Without `gpu` there are only the ranges."""
    path.parent.mkdir(parents=True, exist_ok=True)
    trace = TraceBuilder(producer="builder", origin="synthetic")
    process = trace.process(100, "python")
    thread = trace.thread(process, 100, "python")
    if gpu:
        trace.device(0, name="Test GPU", uuid="GPU-0")
    at = 10_000
    for number, step_us in enumerate(steps_us):
        length = round(step_us * 1000)
        trace.nvtx(at, at + length - 1000, f"Step {number}", thread=thread)
        if gpu:
            kernel = at + 5000
            end = kernel + round(busy_us * 1000)
            trace.launch(at + 100, at + 2000, kernel, end, thread=thread, name="step_kernel")
        at += length
    trace.write(path)
    if manifest is not None:
        path.with_suffix(".json").write_text(json.dumps({"manifest_version": 1, **manifest}))
    return path
