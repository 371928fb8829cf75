"""Loops in which the host waits for the GPU and works afterwards, while the GPU idles."""

from __future__ import annotations

import os

import torch

from .device import cuda
from .training import MS_OF_PYTHON, Mark, Training, Waiting, crunch


class Item(Waiting):
    """Reads the loss each step to log it."""

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        self.log.append(read_loss(loss) if self.faulty else loss)


def read_loss(loss: torch.Tensor) -> float:
    return loss.item()


class BoolRead(Waiting):
    """Asks each step whether the loss is finite."""

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        finite = torch.isfinite(loss)
        if not self.faulty or is_set(finite):
            self.log.append(loss)


def is_set(flag: torch.Tensor) -> bool:
    return bool(flag)


class Nonzero(Waiting):
    """Looks each step for the rows with a loss above the mean: how many, only the GPU knows."""

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        above = losses > loss
        self.log.append(rows_of(above) if self.faulty else above)


def rows_of(above: torch.Tensor) -> torch.Tensor:
    return above.nonzero()


class DeviceSync(Waiting):
    """Waits each step for the whole device."""

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if self.faulty:
            wait_for_device()


def wait_for_device() -> None:
    cuda.synchronize()


class Polling(Waiting):
    """Asks an event over and over whether the step has ended."""

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        self.done = cuda.Event()

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        self.done.record()
        if self.faulty:
            poll(self.done)


def poll(event: torch.cuda.Event) -> None:
    """Between two questions lie some 40 us, so that the recording stays small."""
    while not event.query():
        crunch(MS_OF_PYTHON // 25)


class PrintLogging(Waiting):
    """Prints a tensor of ten losses each step."""

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        self.sink = open(os.devnull, "w")  # noqa: SIM115

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        worst = losses[:10].clone()
        if self.faulty:
            print_losses(worst, self.sink)


def print_losses(losses: torch.Tensor, sink: object) -> None:
    print(losses, file=sink)  # type: ignore[call-overload]


class PythonWork(Training):
    """Reads the loss and computes 6 ms in Python with it, while the GPU has nothing to do."""

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if self.faulty:
            summarise(loss)


def summarise(loss: torch.Tensor) -> float:
    value = loss.item()
    crunch(6 * MS_OF_PYTHON)
    return value
