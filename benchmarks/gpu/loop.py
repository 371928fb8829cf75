"""A small torch loop with `Step N` ranges, for the CUPTI smoke test; its last line is JSON.

python loop.py [--steps 40:240] [--mode torch|raw|nvtx|none] [--graph] [--eager-size 512]
"""

from __future__ import annotations

import argparse
import ctypes
import json
import operator
import statistics
import time

import nvtx
import torch


def runtime_library():
    """The libcudart that torch loaded."""
    with open("/proc/self/maps") as maps:
        for line in maps:
            if "libcudart" in line:
                return ctypes.CDLL(line.split()[-1])
    raise SystemExit("no libcudart in this process")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", default="40:240")
    parser.add_argument("--mode", default="torch")
    parser.add_argument("--graph", action="store_true")
    parser.add_argument("--size", type=int, default=512)
    options = parser.parse_args()
    first, last = map(int, options.steps.split(":"))
    size = options.size
    weight = torch.randn(size, size, device="cuda") / size**0.5
    state = torch.randn(size, size, device="cuda")
    flag = torch.zeros((), dtype=torch.bool, device="cuda")

    def forward():
        value = state
        for _ in range(4):
            value = torch.relu(value @ weight)
        state.copy_(value / value.norm().clamp_min(1e-6))
        flag.copy_(state.sum() > 1e30)

    graph = None
    if options.graph:
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                forward()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            forward()
    step = graph.replay if graph is not None else forward
    runtime = runtime_library() if options.mode == "raw" else None
    begin = {
        "torch": torch.cuda.profiler.start,
        "raw": runtime.cudaProfilerStart if runtime else None,
    }
    end = {
        "torch": torch.cuda.profiler.stop,
        "raw": runtime.cudaProfilerStop if runtime else None,
    }
    nothing = lambda: None  # noqa: E731
    window = nvtx.annotate("window", color="orange")
    began = 0
    begins = []
    for number in range(last + 10):
        if number == first:
            torch.cuda.synchronize()
            began = time.perf_counter_ns()
            (
                window.__enter__
                if options.mode == "nvtx"
                else begin.get(options.mode, nothing) or nothing
            )()
            inside = time.perf_counter_ns()
        if number == last:
            torch.cuda.synchronize()
            done = time.perf_counter_ns()
            if options.mode == "nvtx":
                window.__exit__(None, None, None)
            else:
                (end.get(options.mode, nothing) or nothing)()
            stopped = time.perf_counter_ns()
        if first < number < last:
            begins.append(time.perf_counter_ns())
        with nvtx.annotate(f"Step {number}", color="blue"):
            with nvtx.annotate("Model Forward", color="green"):
                step()
            with nvtx.annotate("Check Stop Condition", color="purple"):
                if bool(flag.item()):
                    break
        torch.cuda.nvtx.range_push("tail")
        torch.cuda.nvtx.range_pop()
    print(
        json.dumps(
            {
                "steps": last - first,
                "step_p50_us": round(
                    statistics.median(map(operator.sub, begins[1:], begins)) / 1000, 2
                ),
                "step_us": round((done - inside) / 1000 / (last - first), 2),
                "start_ms": round((inside - began) / 1e6, 2),
                "stop_ms": round((stopped - done) / 1e6, 2),
            }
        )
    )


if __name__ == "__main__":
    main()
