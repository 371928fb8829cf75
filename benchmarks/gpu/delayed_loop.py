"""A loop into which delays are injected, for benchmarks/gpu/evidence.py; its last line is JSON.

python delayed_loop.py [--host-us 500] [--gpu-cycles 1000000] [--steps 20:80] [--more 300]

Every step runs a few products, then a kernel that sleeps, then reads a flag. The host is done
launching while that kernel still sleeps, so its length is busy time and nothing else; the injected
Python lies before the first launch of a step, while the device is idle.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time

import nvtx
import torch

PRODUCTS = 6


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--host-us", type=float, default=0)
    parser.add_argument("--gpu-cycles", type=int, default=1_000_000)
    parser.add_argument("--steps", default="20:80")
    parser.add_argument("--more", type=int, default=0, help="steps after the window")
    options = parser.parse_args()
    first, last = map(int, options.steps.split(":"))
    weight = torch.randn(1024, 1024, device="cuda") / 32
    state = torch.randn(1024, 1024, device="cuda")
    flag = torch.zeros((), dtype=torch.bool, device="cuda")
    marks = [torch.cuda.Event(enable_timing=True) for _ in range(last + options.more + 1)]
    sleeps = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True))
              for _ in range(last + options.more)]  # fmt: skip
    delays = []
    for number in range(last + options.more):
        if number == first:
            torch.cuda.synchronize()
            torch.cuda.profiler.start()
        if number == last:
            torch.cuda.synchronize()
            torch.cuda.profiler.stop()
        with nvtx.annotate(f"Step {number}", color="blue"):
            with nvtx.annotate("Injected Delay", color="red"):
                began = time.perf_counter_ns()
                while time.perf_counter_ns() - began < options.host_us * 1000:
                    pass
                delays.append(time.perf_counter_ns() - began)
            with nvtx.annotate("Model Forward", color="green"):
                marks[number].record()
                value = state
                for _ in range(PRODUCTS):
                    value = value @ weight
                sleeps[number][0].record()
                torch.cuda._sleep(options.gpu_cycles)
                sleeps[number][1].record()
            with nvtx.annotate("Check Stop Condition", color="purple"):
                if bool(flag.item()):
                    break
    torch.cuda.synchronize()
    if not options.more:
        torch.cuda.profiler.stop()
    inside = range(first + 1, last - 1)
    events_us = [marks[k].elapsed_time(marks[k + 1]) * 1000 for k in inside]
    sleeps_us = [sleeps[k][0].elapsed_time(sleeps[k][1]) * 1000 for k in inside]
    print(
        json.dumps(
            {
                "injected_us": statistics.mean(delays[first + 1 : last - 1]) / 1000
                if delays
                else 0,
                "event_step_us": statistics.mean(events_us),
                "sleep_us": statistics.mean(sleeps_us),
                "steps": len(inside),
            }
        )
    )


if __name__ == "__main__":
    main()
