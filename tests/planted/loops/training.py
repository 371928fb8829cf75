"""The training loop that every loop but one is made of, and what a loop is."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch

from .device import DEVICE, size

Mark = Callable[[str], AbstractContextManager[Any]]
MS_OF_PYTHON = size(22_000, 220)
"""Turns of `crunch` that take about one millisecond."""


def crunch(turns: int) -> int:
    """Work in Python: one frame, no calls, so that a profiler adds nothing to it."""
    total = 0
    for k in range(turns):
        total += k * k & 255
    return total


class Training:
    """A multilayer perceptron in float32, trained by SGD; about 7 ms of GPU work a step on an H200.

    `step` opens the inner ranges; what a loop plants goes into `load`, `forward` or `misc`.
    """

    rows, width, layers = 2048, 4096, 2
    load_work = MS_OF_PYTHON // 4
    """Turns of Python in the range `load`, in both variants."""
    misc_work = MS_OF_PYTHON // 4
    """The same in `misc`, after what is planted there."""
    warm_up, bare, recorded = 8, 20, 16
    """Steps before a block, steps that are timed without a profiler, steps that are recorded."""

    def __init__(self, mark: Mark, faulty: bool) -> None:
        self.mark, self.faulty = mark, faulty
        torch.manual_seed(0)
        self.rows, self.width = size(self.rows, 32), size(self.width, 16)
        self.model = torch.nn.Sequential(
            *(
                layer
                for _ in range(self.layers)
                for layer in (
                    torch.nn.Linear(self.width, self.width, device=DEVICE),
                    torch.nn.ReLU(),
                )
            )
        )
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1e-4)
        self.x = torch.randn(self.rows, self.width, device=DEVICE)
        self.y = torch.randn(self.rows, self.width, device=DEVICE)
        self.log: list[object] = []

    def begin(self) -> None:
        """Called before a block of steps."""

    def end(self) -> None:
        """Called after it, when the GPU has ended its work."""

    def step(self, number: int) -> None:
        with self.mark("load"):
            x = self.load(number)
        with self.mark("forward"):
            losses = self.forward(x)
            loss = losses.mean()
        with self.mark("backward"):
            loss.backward()
        with self.mark("optimizer"):
            self.optimizer.step()
            self.optimizer.zero_grad()
        with self.mark("misc"):
            self.misc(number, losses.detach(), loss.detach())
            crunch(self.misc_work)

    def load(self, number: int) -> torch.Tensor:
        """The batch of this step."""
        crunch(self.load_work)
        return self.x

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The loss of each row."""
        return (self.model(x) - self.y[: len(x)]).square().mean(1)

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        """What a loop does besides training."""


class Waiting(Training):
    """A loop whose host works for 2.5 ms a step, hidden by the GPU unless the host waits for it."""

    load_work = misc_work = MS_OF_PYTHON * 5 // 4
