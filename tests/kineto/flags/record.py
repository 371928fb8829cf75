"""Records a loop that spins on a flag in pinned memory, and one that works instead. Needs a GPU."""

from __future__ import annotations

import random
import sys
import time

import torch
from torch.profiler import ProfilerActivity, profile, record_function

STEPS = 40


def loop(path: str, *, spins: bool) -> None:
    chance = random.Random(1)
    a = torch.randn(2048, 2048, device="cuda")
    flag = torch.zeros(1, dtype=torch.int32).pin_memory()
    one = torch.ones(1, dtype=torch.int32, device="cuda")

    def step() -> None:
        flag.zero_()
        for _ in range(6 + chance.randrange(8)):
            torch.mm(a, a)
        flag.copy_(one, non_blocking=True)
        seen = flag.numpy()
        until = time.perf_counter() + chance.uniform(500e-6, 900e-6)
        while seen[0] == 0 if spins else time.perf_counter() < until:
            pass

    for _ in range(20):
        step()
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as recorded:
        for number in range(STEPS):
            with record_function(f"Step {number}"):
                step()
        torch.cuda.synchronize()
    recorded.export_chrome_trace(path)


if __name__ == "__main__":
    loop(sys.argv[1], spins=True)
    loop(sys.argv[2], spins=False)
