#!/usr/bin/env python
"""Measure, on a real GPU, what the simulated one needs to know, and what it must predict.

Writes into FOLDER: `constants.json` (launch, copy, wait and graph costs, achieved rates),
`steps.json` (time per decode step of each strategy and batch size, no profiler attached) and one
torch.profiler trace a recorded strategy, whose steps `harness gaps`, `harness predict --from` and
`harness calibrate` can read. Needs torch with CUDA and transformers; takes about four minutes.

    python scripts/measure_gpu.py FOLDER [--model gpt2] [--batch-sizes 1,4,16,64] [--quick]
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import json
import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent.parent))

import torch

from harness.decode import session
from harness.decode.models import load_model
from harness.decode.strategies import resolve
from harness.decode.window import CaptureWindow
from harness.decode.workload import Workload
from harness.nvtx import Range, Ranges
from harness.runtime import open_runtime

EAGER = ("kv-cache", "no-stop-check", "deferred", "pipelined", "static-cache", "baseline")
GRAPHS = ("cuda-graph", "cuda-graph-deferred")
COMPILED = ("compiled", "pipelined-compiled")
RECORDED = (("kv-cache", 1), ("kv-cache", 16), ("deferred", 16), ("pipelined", 16),
            ("static-cache", 16), ("cuda-graph", 16), ("compiled", 16))  # fmt: skip


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


# Constants


def host_ns(action: Callable[[], Any], count: int, repeats: int = 9) -> float:
    """Host time of one `action`, ns, by the median of `repeats` runs of `count` without waiting."""
    runs = []
    for _ in range(repeats):
        torch.cuda.synchronize()
        began = time.perf_counter_ns()
        for _ in range(count):
            action()
        runs.append((time.perf_counter_ns() - began) / count)
    torch.cuda.synchronize()
    return statistics.median(runs)


def device_ns(action: Callable[[], Any], count: int, repeats: int = 9) -> float:
    """Device time of one `action`, ns, between events around `count` of them."""
    runs = []
    for _ in range(repeats):
        first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        torch.cuda.synchronize()
        torch.cuda._sleep(2_000_000)  # so that the host is ahead and launches do not count
        first.record()
        for _ in range(count):
            action()
        last.record()
        torch.cuda.synchronize()
        runs.append(first.elapsed_time(last) * 1e6 / count)
    return statistics.median(runs)


@torch.inference_mode()
def constants() -> dict[str, float]:
    """What single calls cost."""
    x = torch.zeros(1024, device="cuda")
    flag = torch.zeros((), dtype=torch.bool, device="cuda")
    pinned = torch.zeros((), dtype=torch.bool, pin_memory=True)
    event = torch.cuda.Event()
    side = torch.cuda.Stream()
    found: dict[str, float] = {}
    for _ in range(200):
        x.add_(1)
    found["small_kernel_op_host_ns"] = host_ns(lambda: x.add_(1), 200)
    found["view_op_host_ns"] = host_ns(lambda: x.view(32, 32), 500)
    found["empty_op_host_ns"] = host_ns(lambda: torch.empty(8, device="cuda"), 500)
    found["event_record_host_ns"] = host_ns(event.record, 300)
    found["event_query_host_ns"] = host_ns(event.query, 300)
    found["stream_wait_host_ns"] = host_ns(lambda: side.wait_event(event), 300)
    found["passed_event_wait_host_ns"] = host_ns(event.synchronize, 300)
    found["idle_device_synchronize_host_ns"] = host_ns(torch.cuda.synchronize, 300)
    found["pinned_copy_host_ns"] = host_ns(lambda: pinned.copy_(flag, non_blocking=True), 200)
    found["flag_read_host_ns"] = host_ns(flag.item, 300)
    found["small_kernel_device_ns"] = device_ns(lambda: x.add_(1), 300)
    found["pinned_copy_device_ns"] = device_ns(lambda: pinned.copy_(flag, non_blocking=True), 300)

    def ping() -> None:
        x.add_(1)
        event.record()
        event.synchronize()

    found["launch_and_event_wait_host_ns"] = host_ns(ping, 200)
    for nodes in (50, 300):
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph):
            for _ in range(nodes):
                x.add_(1)
        graph.replay()
        found[f"graph_{nodes}_replay_host_ns"] = host_ns(graph.replay, 8)
        found[f"graph_{nodes}_replay_device_ns"] = device_ns(graph.replay, 8)
    return found


@torch.inference_mode()
def compiled_calls() -> dict[str, float]:
    """What torch.compile's own code costs on the host: entering it, and each launch inside."""
    found: dict[str, float] = {}
    x = torch.zeros(1024, device="cuda")

    @torch.compile
    def entry(y: torch.Tensor) -> torch.Tensor:
        return y + 1

    found["compiled_one_kernel_host_ns"] = host_ns(lambda: entry(x), 200)
    weights = [torch.zeros(256, 256, device="cuda") for _ in range(20)]

    @torch.compile
    def chain(y: torch.Tensor) -> torch.Tensor:
        for weight in weights:
            y = torch.relu(y @ weight) + 1
        return y

    y = torch.zeros(16, 256, device="cuda")
    found["compiled_20_matmuls_20_fused_host_ns"] = host_ns(lambda: chain(y), 20)
    return found


@torch.inference_mode()
def bandwidths() -> dict[str, float]:
    """Bytes per second, reading and writing, of large copies and reads."""
    found: dict[str, float] = {}
    big = torch.empty(2**28, dtype=torch.float32, device="cuda")
    other = torch.empty_like(big)
    moved = 2 * big.numel() * 4
    found["copy_bytes_per_s"] = moved / device_ns(lambda: other.copy_(big), 5) * 1e9
    found["read_bytes_per_s"] = moved / 2 / device_ns(lambda: torch.sum(big), 5) * 1e9
    staging = torch.empty(2**28, dtype=torch.uint8, pin_memory=True)
    there = torch.empty(2**28, dtype=torch.uint8, device="cuda")
    copies = {
        "to_device": lambda: there.copy_(staging, non_blocking=True),
        "to_host": lambda: staging.copy_(there, non_blocking=True),
    }
    for name, action in copies.items():
        found[f"pinned_{name}_bytes_per_s"] = 2**28 / device_ns(action, 3, 3) * 1e9
    return found


@torch.inference_mode()
def products(dtype: torch.dtype, label: str) -> dict[str, float]:
    """Matrix products: one that fills the GPU, and those of a GPT-2 decode step, cache-cold."""
    found: dict[str, float] = {}
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=dtype) for _ in range(2))
    found[f"matmul_{label}_flop_per_s"] = 2 * 8192**3 / device_ns(lambda: a @ b, 3, 3) * 1e9
    for rows in (1, 4, 16, 64, 256, 1024):
        for inner, outer in ((768, 2304), (768, 768), (768, 3072), (3072, 768), (768, 50257)):
            left = torch.randn(rows, inner, device="cuda", dtype=dtype)
            many = min(40, max(2, int(3e8 / (inner * outer * left.element_size()))))
            # So many that the cache holds none of them.
            rights = [torch.randn(inner, outer, device="cuda", dtype=dtype) for _ in range(many)]

            def product(left: Any = left, rights: Any = rights) -> None:
                for right in rights:
                    torch.mm(left, right)

            took = device_ns(product, 2, 3) / many
            found[f"mm_{label}_{rows}x{inner}x{outer}_device_ns"] = took
    return found


# Strategies


class Clocked:
    """Ranges that remember when they were opened and closed, in the profiler's clock."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, int, int]] = []
        self.open: list[tuple[str, int]] = []

    def make(self, name: str, colour: str) -> Range:
        def push() -> None:
            self.open.append((name, time.time_ns()))

        def pop() -> None:
            began = self.open.pop()
            self.rows.append((*began, time.time_ns()))

        return Range(push, pop)


def decoder_of(workload: Workload, model: Any, ranges: Ranges) -> Any:
    decoder = session.make_decoder(model, workload, open_runtime("cuda"), ranges, resolve(workload))
    decoder.prepare()
    return decoder


def silent(steps: int) -> Ranges:
    return Ranges(steps, make=lambda name, colour: Range(lambda: None, lambda: None))


def timed(workload: Workload, model: Any, repeats: int) -> dict[str, Any]:
    """Wall time per step of whole runs, ns, without a profiler."""
    decoder = decoder_of(workload, model, silent(workload.max_new_tokens))
    runs = []
    for _ in range(repeats):
        generation = decoder.run(CaptureWindow(None, decoder.runtime, decoder.ranges))
        runs.append(generation)
    decode = sorted(run.decode_ns / (run.steps_executed - 1) for run in runs)
    return {
        "strategy": workload.strategy, "batch_size": workload.batch_size,
        "dtype": workload.dtype, "max_new_tokens": workload.max_new_tokens,
        "step_ns": round(statistics.median(decode)), "fastest_step_ns": round(decode[0]),
        "slowest_step_ns": round(decode[-1]), "runs": repeats,
        "wall_ns": round(statistics.median(run.wall_ns for run in runs)),
        "prefill_ns": round(statistics.median(run.prefill_ns for run in runs)),
    }  # fmt: skip


def record(workload: Workload, model: Any, path: Path) -> None:
    """One run under torch.profiler with CUDA activities alone; our ranges are added to its file."""
    clocked = Clocked()
    ranges = Ranges(workload.max_new_tokens, make=clocked.make)
    decoder = decoder_of(workload, model, ranges)
    decoder.run(CaptureWindow(None, decoder.runtime, ranges))
    profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
    runtime = decoder.runtime
    runtime.profiler_start, runtime.profiler_stop = profiler.start, profiler.stop
    clocked.rows.clear()
    window = CaptureWindow(workload.steps, runtime, ranges)
    decoder.run(window)
    write_profile(profiler, clocked, path, slack_ns=1_000_000)


def write_profile(
    profiler: Any, clocked: Clocked, path: Path, *, slack_ns: float = math.inf
) -> list[dict[str, Any]]:
    """Write FILE.json.gz, with our ranges that lie within the recorded calls and `slack_ns` around
    them; returns its events."""
    raw = path.with_suffix("")
    profiler.export_chrome_trace(str(raw))
    data = json.loads(raw.read_text())
    raw.unlink()
    base = data.get("baseTimeNanoseconds", 0)
    calls = [event for event in data["traceEvents"] if event.get("cat") == "cuda_runtime"]
    where = {"pid": calls[0]["pid"], "tid": calls[0]["tid"]}
    low = min(event["ts"] for event in calls) * 1000 + base
    high = max(event["ts"] for event in calls) * 1000 + base
    data["traceEvents"] += [
        {"ph": "X", "cat": "user_annotation", "name": name, **where,
         "ts": (start - base) / 1000, "dur": (end - start) / 1000, "args": {}}
        for name, start, end in clocked.rows
        if start >= low - slack_ns and end <= high + slack_ns
    ]  # fmt: skip
    with gzip.open(path, "wt") as file:
        json.dump(data, file)
    return list(data["traceEvents"])


def attempt(what: str, action: Callable[[], Any]) -> Any:
    """Do it; a failure is said and the rest goes on."""
    began = time.perf_counter()
    try:
        result = action()
    except Exception as error:
        say(f"{what}: {type(error).__name__}: {str(error).splitlines()[:1]}")
        return None
    say(f"{what}: {time.perf_counter() - began:.1f} s")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="gpt2")
    parser.add_argument("--batch-sizes", default="1,4,16,64")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="No compiled strategies.")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    batches = [int(part) for part in args.batch_sizes.split(",")]
    plain = Workload(model=args.model, device="cuda", eos_id=-1, steps=(30, 50))
    about = {
        "gpu": torch.cuda.get_device_name(), "torch": torch.__version__,
        "cuda": torch.version.cuda, "python": sys.version.split()[0],
        "tf32": torch.backends.cuda.matmul.allow_tf32,
    }  # fmt: skip
    found: dict[str, Any] = dict(about)
    for what, action in (
        ("constants", constants),
        ("bandwidths", bandwidths),
        ("products in float32", lambda: products(torch.float32, "float32")),
        ("products in bfloat16", lambda: products(torch.bfloat16, "bfloat16")),
        ("compiled calls", compiled_calls),
    ):
        values = attempt(what, action) or {}
        found |= {name: round(value, 1) for name, value in values.items()}
        (args.folder / "constants.json").write_text(json.dumps(found, indent=1))
    models = {
        dtype: load_model(dataclasses.replace(plain, dtype=dtype), torch.device("cuda"))
        for dtype in ("float32", "bfloat16")
    }
    for name, batch in RECORDED:
        if args.quick and name in COMPILED:
            continue
        workload = dataclasses.replace(plain, strategy=name, batch_size=batch)
        path = args.folder / f"{name}-b{batch}.json.gz"
        attempt(f"record {path.name}", lambda w=workload, p=path: record(w, models[w.dtype], p))
    steps = []
    names = EAGER + GRAPHS + (() if args.quick else COMPILED)
    plan = [(name, batch, "float32", 100) for name in names for batch in batches]
    plan += [(name, 16, "bfloat16", 100) for name in ("kv-cache", "cuda-graph")]
    plan += [(name, 32, "float32", n) for name in ("kv-cache", "baseline") for n in (200, 400)]
    plan += [(name, 32, "float32", 100) for name in (*EAGER, *(names[-1:]))]
    for name, batch, dtype, tokens in plan:
        workload = dataclasses.replace(
            plain, strategy=name, batch_size=batch, dtype=dtype, max_new_tokens=tokens
        )
        repeats = 2 if name == "baseline" else args.repeats
        row = attempt(
            f"{name} batch {batch} {dtype} {tokens}",
            lambda w=workload, r=repeats: timed(w, models[w.dtype], r),
        )
        if row:
            steps.append(row)
            (args.folder / "steps.json").write_text(
                json.dumps({"about": about, "rows": steps}, indent=1)
            )


if __name__ == "__main__":
    main()
