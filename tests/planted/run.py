"""Run one loop once: bare, then recorded. Writes how long its steps took as JSON.

    python run.py LOOP fault|clean --recorder shim|torch|none --out FILE [--trace FILE]

`shim`: the program runs under the CUPTI road of `harness profile`, whose window is opened by
cudaProfilerStart; ranges are NVTX ranges. `torch`: it is recorded by torch.profiler with stacks,
and the trace written to --trace; ranges are record_function's. Programs that share PLANTED_LOCK
(a file) use the GPU one at a time.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import itertools
import json
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import torch._dynamo  # the optimizer imports it in its first step, with the GPU to itself
from loops import LOOPS
from loops.device import DEVICE, ON_GPU, cuda, size
from loops.training import MS_OF_PYTHON, Training, crunch


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("loop", choices=LOOPS)
    parser.add_argument("variant", choices=("fault", "clean"))
    parser.add_argument("--recorder", choices=("shim", "torch", "none"), default="none")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--trace", type=Path)
    parser.add_argument("--steps", type=int, help="record and time so few steps")
    parser.add_argument("--after", type=float, default=0, help="go on for so many seconds")
    options = parser.parse_args()
    planted = LOOPS[options.loop]
    if options.variant not in planted.variants:
        parser.error(f"{options.loop} has no fault")
    nvtx = ON_GPU and options.recorder == "shim"
    mark = torch.cuda.nvtx.range if nvtx else torch.autograd.profiler.record_function
    with gpu_to_oneself():
        loop = planted.make(mark, options.variant)
        bare_steps, steps = (options.steps or n for n in (loop.bare, loop.recorded))
        loop.begin()
        told: dict[str, Any] = {"probes_us": probes()}
        warm_up(loop)
        told["bare"] = timed(loop, bare_steps)
        if options.recorder != "torch":
            if options.recorder == "shim" and ON_GPU:
                torch.cuda.profiler.start()
            told["recorded"] = timed(loop, steps)
            if options.recorder == "shim" and ON_GPU:
                torch.cuda.profiler.stop()
            told["python_after_us"] = python_probe()
            go_on(loop, loop.warm_up + steps, options.after)
    if options.recorder == "torch":
        profiler = torch.profiler.profile(with_stack=True)
        profiler.start()
        with gpu_to_oneself():
            warm_up(loop)
            told["recorded"] = timed(loop, steps)
            told["python_after_us"] = python_probe()
        profiler.stop()
    loop.end()
    if options.recorder == "torch":
        profiler.export_chrome_trace(str(options.trace))
    told |= {
        "torch": torch.__version__,
        "gpu": torch.cuda.get_device_name() if ON_GPU else None,
        "first_step": loop.warm_up,
    }
    text = json.dumps(told, indent=1)
    if options.out:
        options.out.write_text(text)
    else:
        print(text)


@contextlib.contextmanager
def gpu_to_oneself() -> Iterator[None]:
    """Hold the lock of all loops that are run side by side; a process that dies gives it back."""
    path = os.environ.get("PLANTED_LOCK")
    if not path:
        yield
        return
    with open(path, "r+") as lock:
        fcntl.lockf(lock, fcntl.LOCK_EX)
        yield
        cuda.synchronize()


def warm_up(loop: Training) -> None:
    for number in range(loop.warm_up):
        with loop.mark(f"warm_up {number}"):
            loop.step(number)
    cuda.synchronize()


def go_on(loop: Training, first: int, seconds: float) -> None:
    """Further steps, which a recorder may time with itself and without."""
    until = time.monotonic() + seconds
    for number in itertools.count(first):
        if time.monotonic() >= until:
            return
        with loop.mark(f"train_step {number}"):
            loop.step(number)


def timed(loop: Training, steps: int) -> dict[str, Any]:
    """A block of steps, us: how long each took by events on the GPU, and all by the host's clock.

    Median and mean leave out the first and the last step.
    """
    events = [cuda.Event(enable_timing=True) for _ in range(steps + 1)]
    began = time.perf_counter_ns()
    for k, number in enumerate(range(loop.warm_up, loop.warm_up + steps)):
        events[k].record()
        with loop.mark(f"train_step {number}"):
            loop.step(number)
    events[-1].record()
    cuda.synchronize()
    ended = time.perf_counter_ns()
    took = [a.elapsed_time(b) * 1000 for a, b in itertools.pairwise(events)]
    inner = took[1:-1] or took
    return {
        "steps_us": [round(us, 1) for us in took],
        "median_us": round(statistics.median(inner), 1),
        "mean_us": round(statistics.mean(inner), 1),
        "host_mean_us": round((ended - began) / 1000 / steps, 1),
    }


def probes() -> dict[str, float]:
    """How fast the machine is at this moment: Python, launches, and products on the GPU, us."""
    small = torch.zeros(16, device=DEVICE)
    large = torch.randn(size(2048, 16), size(2048, 16), device=DEVICE)
    launches, products = [], []
    for _ in range(4):
        cuda.synchronize()
        began = time.perf_counter_ns()
        for _ in range(100):
            small.add_(1)
        launches.append((time.perf_counter_ns() - began) / 100_000)
        start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        start.record()
        for _ in range(4):
            large @ large
        end.record()
        cuda.synchronize()
        products.append(start.elapsed_time(end) * 250)
    return {"python": python_probe(), "launch": min(launches[1:]), "product": min(products[1:])}


def python_probe() -> float:
    took = []
    for _ in range(3):
        began = time.perf_counter_ns()
        crunch(MS_OF_PYTHON)
        took.append((time.perf_counter_ns() - began) / 1000)
    return min(took)


if __name__ == "__main__":
    main()
