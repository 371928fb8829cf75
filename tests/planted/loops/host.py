"""Loops whose host is kept busy, or kept from running."""

from __future__ import annotations

import gc
import io
import sys
import threading
import time

import torch

from .device import cuda, size
from .training import MS_OF_PYTHON, Mark, Training, crunch


class GarbageCollection(Training):
    """Collects garbage by hand each step, among 600,000 objects that live on."""

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        # What the libraries made is left out of collections, as servers do it.
        gc.freeze()
        self.cache = [[k] for k in range(size(600_000, 3_000))]

    def begin(self) -> None:
        gc.disable()

    def end(self) -> None:
        gc.enable()

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if self.faulty:
            collect()


def collect() -> None:
    gc.collect()


class EmptyCache(Training):
    """Gives the allocator's memory back each step, and asks for it again in the next."""

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if self.faulty:
            give_back()


def give_back() -> None:
    cuda.empty_cache()


class GilThreads(Training):
    """Two threads of Python spin beside the one that launches."""

    bare, recorded = 10, 14
    switch_s = 300e-6
    """How long a thread may keep the interpreter, in both variants. Python's own is 5 ms."""

    def begin(self) -> None:
        self.interval = sys.getswitchinterval()
        sys.setswitchinterval(self.switch_s)
        self.spinning = self.faulty
        self.threads = [threading.Thread(target=self.spin, daemon=True) for _ in range(2)]
        for thread in self.threads:
            thread.start()

    def end(self) -> None:
        self.spinning = False
        for thread in self.threads:
            thread.join()
        sys.setswitchinterval(self.interval)

    def spin(self) -> None:
        total = 0
        while self.spinning:
            total += 1


class TwoThreads(Training):
    """A second thread copies the weights and writes them for 12 ms; faulty, it holds the lock."""

    writes_s = size(12_000, 500) / 1e6

    def __init__(self, mark: Mark, faulty: bool) -> None:
        super().__init__(mark, faulty)
        self.lock, self.wanted = threading.Lock(), threading.Event()
        self.shadow = [parameter.detach().clone() for parameter in self.model.parameters()]
        self.side = cuda.Stream()

    def begin(self) -> None:
        self.open = True
        self.writer = threading.Thread(target=self.write, name="writer", daemon=True)
        self.writer.start()

    def end(self) -> None:
        self.open = False
        self.wanted.set()
        self.writer.join()

    def load(self, number: int) -> torch.Tensor:
        self.wanted.set()
        return super().load(number)

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        take_turn(self.lock)

    def write(self) -> None:
        """The second thread: a snapshot of the weights at each request, requests may merge."""
        while self.wanted.wait() and self.open:
            self.wanted.clear()
            with self.lock:
                with torch.no_grad(), cuda.stream(self.side):
                    for copy, parameter in zip(self.shadow, self.model.parameters(), strict=True):
                        copy.copy_(parameter)
                if self.faulty:
                    time.sleep(self.writes_s)
            if not self.faulty:
                time.sleep(self.writes_s)


def take_turn(lock: threading.Lock) -> None:
    with lock:
        crunch(MS_OF_PYTHON // 20)


class StalledStep(Training):
    """Saves a layer in one step of 20."""

    recorded = 20

    def misc(self, number: int, losses: torch.Tensor, loss: torch.Tensor) -> None:
        if self.faulty and number % 20 == 18:
            save(self.model[0])


def save(model: torch.nn.Module) -> None:
    torch.save(model.state_dict(), io.BytesIO())
