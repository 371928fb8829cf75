"""Loops that are kept waiting for their input: a slow dataset, or its copy to the GPU."""

from __future__ import annotations

import time

import torch
from torch.utils.data import DataLoader, Dataset

from .device import DEVICE, cuda, pinned, size
from .training import MS_OF_PYTHON, Mark, Training, crunch


class Rows(Dataset[torch.Tensor]):
    """Rows of 64 numbers. `turns` is the Python a row costs, `read_s` what its file takes."""

    def __init__(self, turns: int, read_s: float) -> None:
        self.turns, self.read_s = turns, read_s

    def __len__(self) -> int:
        return 100_000

    def __getitem__(self, index: int) -> torch.Tensor:
        decode_row(self.turns, self.read_s)
        return torch.full((64,), float(index % 7))


def decode_row(turns: int, read_s: float) -> None:
    crunch(turns)
    if read_s:
        time.sleep(read_s)


class Loaded(Training):
    """Takes a batch of 8 rows from a DataLoader each step."""

    workers = 0
    turns, read_s = 0, 0.0

    def __init__(self, mark: Mark, faulty: bool) -> None:
        rows = Rows(self.turns, self.read_s) if faulty else Rows(0, 0)
        # Workers are forked before CUDA begins.
        self.batches = iter(DataLoader(rows, batch_size=8, num_workers=self.workers))
        super().__init__(mark, faulty)

    def load(self, number: int) -> torch.Tensor:
        crunch(self.load_work)
        batch = next(self.batches).to(DEVICE, non_blocking=True)
        return self.x + batch.mean()


class DataLoaderInProcess(Loaded):
    """A slow dataset without workers: 8 rows of 1.5 ms."""

    turns = MS_OF_PYTHON * 3 // 2


class DataLoaderWorkers(Loaded):
    """A slow dataset with two workers: 32 ms a batch, so 16 ms a step."""

    workers = 2
    read_s = size(4_000, 300) / 1e6


class Copied(Training):
    """Copies its batch to the GPU each step.

    Faulty: in the stream that computes. Clean: from pinned memory in a stream of its own, one step
    ahead.
    """

    copies = 2
    """How many tensors of the batch's size are copied; the first is used."""
    pins = True
    """Is the faulty variant's batch in pinned memory?"""

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        batch = torch.randn(self.rows, self.width).repeat(self.copies, 1, 1)
        self.batch = pinned(batch) if self.pins or not faulty else batch
        self.slots = [torch.empty_like(batch, device=DEVICE) for _ in range(2)]
        self.ready = [cuda.Event() for _ in self.slots]
        self.free = [cuda.Event() for _ in self.slots]
        self.side = cuda.Stream()

    def begin(self) -> None:
        if not self.faulty:
            for slot in range(2):
                self.free[slot].record()
            self.prefetch(0)

    def load(self, number: int) -> torch.Tensor:
        crunch(self.load_work)
        if self.faulty:
            copy_here(self.slots[0], self.batch)
            return self.slots[0][0]
        slot = number % 2
        cuda.current_stream().wait_event(self.ready[slot])
        self.prefetch(1 - slot)
        return self.slots[slot][0]

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if not self.faulty:
            self.free[number % 2].record()

    def prefetch(self, slot: int) -> None:
        with cuda.stream(self.side):
            self.side.wait_event(self.free[slot])
            self.slots[slot].copy_(self.batch, non_blocking=True)
            self.ready[slot].record(self.side)


def copy_here(slot: torch.Tensor, batch: torch.Tensor) -> None:
    slot.copy_(batch, non_blocking=True)


class PageableCopy(Copied):
    """67 MB from pageable memory."""

    pins = False


class PinnedCopyOnPath(Copied):
    """134 MB from pinned memory, in the stream that computes."""

    copies = 4
