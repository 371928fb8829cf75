#!/usr/bin/env python
"""Build the worked examples in traces/: one decode loop with and without a blocking stop check.

Nothing here was measured. Every number is round, chosen to be followed by hand, and explained in
traces/README.md together with what `harness gaps` must answer. The shape is that of GPT-2 decoding
at batch 16 in the GPT-2 token generation article: a forward pass that the host launches faster
than the GPU works through, then a stop check that reads one flag per step.

    python scripts/make_examples.py [FOLDER] [--force]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from harness.analysis.model.errors import TraceError
from harness.analysis.writer.writer import PAGEABLE, PINNED, SyncType, TraceBuilder
from harness.files import write_text

US = 1_000

STEPS = range(30, 50)
"""The capture window that `harness profile` uses by default."""

SLOW_STEP, SLOW_NS = 43, 100 * US
"""In this step the host loses time before its forward, as to a garbage collection."""

FORWARD = (
    "embedding_lookup",
    "layer_norm",
    "gemm_qkv",
    "attention",
    "gemm_attention_out",
    "layer_norm",
    "gemm_mlp_up",
    "gelu",
    "gemm_mlp_down",
    "gemm_lm_head",
)
FORWARD_KERNEL, ARGMAX, FLAG, COPY = 40 * US, 10 * US, 5 * US, 2 * US
"""Durations on the GPU."""

BETWEEN_KERNELS = 1 * US
"""What the GPU needs to go from one queued operation to the next."""

LAUNCH_CALL, LAUNCH_PERIOD, LATENCY = 5 * US, 20 * US, 3 * US
"""How long a launch call takes, how often the host makes one, and from its return to the start."""

BLUE, GREEN, PURPLE = 0xFF0000FF, 0xFF008000, 0xFF800080


class Gpu:
    """One in-order stream: work starts when it has been launched and the work before it is done."""

    def __init__(self) -> None:
        self.free_at = 0

    def run(self, launched: int, duration: int) -> tuple[int, int]:
        """Start and end of work whose launch call returned at `launched`."""
        start = max(launched + LATENCY, self.free_at + BETWEEN_KERNELS)
        self.free_at = start + duration
        return start, self.free_at


def build(strategy: str) -> TraceBuilder:
    """The trace of one strategy: "sync" waits for its own flag, "pipelined" for the one before."""
    trace = TraceBuilder(producer="builder", origin="synthetic", strategy=strategy)
    thread = trace.thread(trace.process(1000), 1000, "python")
    trace.device(0, name="Example GPU", uuid="00000000-0000-0000-0000-000000000001", smCount=100)
    trace.metadata("NOTE", "a worked example made up by scripts/make_examples.py, not a recording")
    gpu = Gpu()
    step_start, flag_copied = 100 * US, None
    for step in STEPS:
        forward_start = step_start + 10 * US + (SLOW_NS if step == SLOW_STEP else 0)
        call = forward_start + 10 * US

        def launch(name: str, duration: int, at: int) -> None:
            trace.launch(
                at, at + LAUNCH_CALL, *gpu.run(at + LAUNCH_CALL, duration), name=name, thread=thread
            )

        for name in FORWARD:
            launch(name, FORWARD_KERNEL, call)
            call += LAUNCH_PERIOD
        forward_end = call - 10 * US
        launch("argmax", ARGMAX, call)
        check_start = call + 15 * US
        launch("all_rows_finished", FLAG, call + LAUNCH_PERIOD)
        copy_call = call + LAUNCH_PERIOD + 10 * US
        if strategy == "sync":
            # A copy to pageable memory returns only when the data is there: the queue runs dry.
            copied = gpu.run(copy_call + LAUNCH_CALL, COPY)
            waited = copied[1] + 3 * US
            trace.copy(copy_call, waited, *copied, bytes=1, dst_kind=PAGEABLE, thread=thread)
            trace.wait(waited + 2 * US, waited + 4 * US, thread=thread)
            check_end = waited + 10 * US
        else:
            copied = gpu.run(copy_call + LAUNCH_CALL, COPY)
            trace.copy(
                copy_call, copy_call + LAUNCH_CALL, *copied, bytes=1, dst_kind=PINNED, thread=thread
            )
            trace.api(
                copy_call + 6 * US, copy_call + 7 * US, "cudaEventRecord_v3020", thread=thread
            )
            waited = copy_call + 10 * US
            if flag_copied is not None:
                asked = waited
                waited = max(asked + 2 * US, flag_copied + 3 * US)
                trace.wait(
                    asked,
                    waited,
                    api_name="cudaEventSynchronize_v3020",
                    sync_type=SyncType.EVENT,
                    thread=thread,
                )
            flag_copied = copied[1]
            check_end = waited + 6 * US
        step_end = check_end + 5 * US
        trace.nvtx(step_start, step_end, f"Step {step}", thread=thread, color=BLUE)
        trace.nvtx(forward_start, forward_end, "Model Forward", thread=thread, color=GREEN)
        trace.nvtx(check_start, check_end, "Check Stop Condition", thread=thread, color=PURPLE)
        step_start = step_end + 5 * US
    return trace


def manifest(strategy: str) -> dict[str, object]:
    """What `harness` writes beside a recording, as far as it means anything here."""
    return {
        "manifest_version": 1,
        "strategy": strategy,
        "label": strategy,
        "origin": "synthetic",
        "made_by": "scripts/make_examples.py",
        "capture": {"backend": "builder", "graph_trace": None},
        "choices": {
            "cache": "dynamic",
            "execution": "eager",
            "stop_check": strategy,
            "allocator": "default",
        },
        "workload": {
            "model": "GPT-2 in outline",
            "batch_size": 16,
            "steps": [STEPS.start, STEPS.stop],
        },
        "device": {"name": "Example GPU"},
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Build the worked examples.")
    parser.add_argument(
        "folder", nargs="?", type=Path, default=Path(__file__).parent.parent / "traces"
    )
    parser.add_argument("--force", action="store_true", help="overwrite files that exist")
    options = parser.parse_args()
    try:
        options.folder.mkdir(parents=True, exist_ok=True)
        for strategy in ("sync", "pipelined"):
            path = options.folder / f"example-{strategy}.sqlite"
            beside = path.with_suffix(".json")
            if beside.exists() and not options.force:
                raise TraceError(f"{beside} already exists", remedy="add --force")
            build(strategy).write(path, force=options.force)
            write_text(beside, json.dumps(manifest(strategy), indent=2) + "\n", force=options.force)
            print(path)
    except (TraceError, OSError) as error:
        print(f"make_examples: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
