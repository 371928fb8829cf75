"""A loop in which one stream waits for another without need."""

from __future__ import annotations

import torch

from .device import cuda
from .training import Mark, Training


class StreamWait(Training):
    """Waits each step for 3 ms of a side stream whose results this step does not need."""

    cycles = 6_000_000

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        self.side = cuda.Stream()

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        self.side.wait_stream(cuda.current_stream())
        with cuda.stream(self.side):
            cuda._sleep(self.cycles)
        if self.faulty:
            wait_for_side(self.side)


def wait_for_side(side: torch.cuda.Stream) -> None:
    cuda.current_stream().wait_stream(side)
