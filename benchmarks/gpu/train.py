"""A training loop as people have it: no profiler calls unless --own A:B; ends with code 3."""

import argparse
import sys

import nvtx
import torch

asked = argparse.ArgumentParser()
asked.add_argument("--ranges", nargs="?", const="nvtx", choices=["nvtx", "torch"])
asked.add_argument("--count", type=int, default=1000)
asked.add_argument("--own")
options = asked.parse_args()

torch.manual_seed(0)
layers = [m for _ in range(12) for m in (torch.nn.Linear(1024, 1024), torch.nn.GELU())]
model = torch.nn.Sequential(*layers, torch.nn.Linear(1024, 10)).cuda()
optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4)
if options.own:
    import own_calls


def step():
    x = torch.randn(256, 1024, device="cuda")
    y = torch.randint(10, (256,), device="cuda")
    loss = torch.nn.functional.cross_entropy(model(x), y)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return loss.item()


for number in range(options.count):
    if options.own:
        own_calls.before(number, options.own)
    if options.ranges == "nvtx":
        with nvtx.annotate(f"train_step {number}"):
            step()
    elif options.ranges == "torch":
        with torch.cuda.nvtx.range(f"train_step {number}"):
            step()
    else:
        step()
print("the program ended by itself")
sys.exit(3)
