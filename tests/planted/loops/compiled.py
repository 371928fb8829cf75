"""Loops that compile or load code while they run, or launch what a graph could launch at once."""

from __future__ import annotations

import time

import torch

from .device import DEVICE, ON_GPU, cuda, size
from .training import Mark, Training


class Recompile(Training):
    """Compiles the scaling of its input anew for each new number of rows, every third step."""

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        import torch._dynamo

        for name in ("recompile_limit", "accumulated_recompile_limit"):
            setattr(torch._dynamo.config, name, 10_000)
        self.scale = torch.compile(scaled, backend="eager", dynamic=False)
        self.steps = 0

    def load(self, number: int) -> torch.Tensor:
        x = super().load(number)
        self.steps += 1
        return self.scale(x[: len(x) - self.steps // 3] if self.faulty else x)


def scaled(x: torch.Tensor) -> torch.Tensor:
    centred = x - x.mean(0)
    return torch.clamp(centred * torch.rsqrt(centred.square().mean(0) + 1e-5), -6, 6)


class LazyLoading(Training):
    """Builds and loads a kernel that it has not used before, each step."""

    bare, recorded = 10, 14
    kernels = 0

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if self.faulty:
            LazyLoading.kernels += 1
            self.log.append(new_kernel(LazyLoading.kernels)(loss))
        else:
            self.log.append(torch.sin(loss))


def new_kernel(number: int) -> object:
    """A kernel with a constant of its own: compiled by nvrtc at its first call, then loaded."""
    name = f"planted_{time.time_ns()}_{number}"
    return cuda.jiterator._create_jit_fn(
        f"template <typename T> T {name}(T x) {{ return x * T({number}) + T(1); }}"
    )


class LaunchBound(Training):
    """30 layers of small kernels, launched one by one; clean, as one CUDA graph."""

    layers = 30

    def __init__(self, mark: Mark, faulty: bool) -> None:
        self.mark, self.faulty = mark, faulty
        torch.manual_seed(0)
        width = size(256, 16)
        self.weights = [
            torch.randn(width, width, device=DEVICE) / width**0.5 for _ in range(self.layers)
        ]
        self.state = torch.randn(64, width, device=DEVICE)
        self.graph = cuda.CUDAGraph()
        side = cuda.Stream()
        side.wait_stream(cuda.current_stream())
        with cuda.stream(side):
            for _ in range(3):
                self.decode()
        cuda.current_stream().wait_stream(side)
        if not faulty:
            with cuda.graph(self.graph):
                self.decode()
            if not ON_GPU:
                self.graph.replay = self.decode

    @torch.no_grad()
    def decode(self) -> None:
        value = self.state
        for weight in self.weights:
            value = torch.tanh(value @ weight) + value
            value = value / 1.5
        self.state.copy_(value)

    def step(self, number: int) -> None:
        with self.mark("forward"):
            launch_layers(self) if self.faulty else self.graph.replay()


def launch_layers(loop: LaunchBound) -> None:
    loop.decode()
