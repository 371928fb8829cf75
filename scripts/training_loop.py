"""A training loop: a small network, and a loss that is read every --log-every steps.

`loss.item()` holds the host until the GPU has caught up. Compare --log-every 1 with 50.

    harness profile -- python training_loop.py --log-every 1
    harness profile --device cpu --capture-range nvtx:capture -- python training_loop.py --width 64
"""

import argparse

import nvtx
import torch


def step_range(text):
    """`30:50`: steps 30 up to, not with, 50."""
    first, colon, last = text.partition(":")
    if not (colon and first.isdecimal() and last.isdecimal()):
        hint = f"; a number of steps is --count {text}" if text.isdecimal() else ""
        raise argparse.ArgumentTypeError(f"{text!r} is not a range such as 30:50{hint}")
    return int(first), int(last)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=100, help="number of steps")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=1024)
    parser.add_argument("--depth", type=int, default=8)
    parser.add_argument("--log-every", type=int, default=1, help="steps between two looks at loss")
    parser.add_argument(
        "--steps", type=step_range, default=(30, 50), metavar="FIRST:LAST", help="steps to record"
    )
    args = parser.parse_args()
    first, last = args.steps

    cuda = torch.cuda.is_available()
    device = "cuda" if cuda else "cpu"
    torch.manual_seed(0)
    layers = [torch.nn.Linear(args.width, args.width) for _ in range(args.depth)]
    model = torch.nn.Sequential(*(part for layer in layers for part in (layer, torch.nn.GELU())))
    model.to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    inputs = torch.randn(args.batch_size, args.width, device=device)
    wanted = inputs.roll(1, dims=1)

    steps = [nvtx.annotate(f"Step {i}", color="blue") for i in range(args.count)]
    forward = nvtx.annotate("Forward", color="green")
    backward = nvtx.annotate("Backward", color="orange")
    update = nvtx.annotate("Optimizer", color="yellow")
    look = nvtx.annotate("Read Loss", color="purple")
    window = nvtx.annotate("capture")  # what opens the recording on a CPU

    for i in range(args.count):
        if i == first:
            if cuda:
                torch.cuda.synchronize()
                torch.cuda.profiler.start()
            window.__enter__()
        with steps[i]:
            with forward:
                loss = torch.nn.functional.mse_loss(model(inputs), wanted)
            with backward:
                optimizer.zero_grad(set_to_none=True)
                loss.backward()
            with update:
                optimizer.step()
            if (i + 1) % args.log_every == 0:
                with look:
                    value = loss.item()
                if (i + 1) % 25 == 0:
                    print(f"step {i + 1}: loss {value:.4f}", flush=True)
        if i + 1 == min(last, args.count) and i >= first:
            if cuda:
                torch.cuda.synchronize()
                torch.cuda.profiler.stop()
            window.__exit__(None, None, None)


if __name__ == "__main__":
    main()
