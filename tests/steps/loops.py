"""Invented loops, as nested ranges with launches in them. Times in microseconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from harness.analysis.writer.writer import TraceBuilder

US = 1000


class Program:
    """Writes what a thread does, one thing after another."""

    def __init__(self, tid: int = 100, *, trace: TraceBuilder | None = None) -> None:
        self.trace = trace or TraceBuilder(producer="builder", origin="synthetic")
        if trace is None:
            self.trace.device(name="Test GPU", uuid="00000000-0000-0000-0000-000000000001")
        self.thread = self.trace.thread(self.trace.process(100, "python"), tid, f"t{tid}")
        self.now = 1000
        self.gpu = 0

    def launch(self, count: int = 1, name: str = "gemm") -> None:
        """Kernels of 8 us each."""
        for _ in range(count):
            begin = max(self.gpu, self.now + 6)
            self.trace.launch(
                self.now * US, (self.now + 4) * US, begin * US, (begin + 8) * US,
                name=name, thread=self.thread,
            )  # fmt: skip
            self.gpu, self.now = begin + 8, self.now + 5

    def rest(self, us: int) -> None:
        self.now += us

    def range(self, name: str, inside: Callable[[], object] | int) -> None:
        """A range around `inside`, or around so many launches."""
        begin = self.now
        self.now += 1
        if isinstance(inside, int):
            self.launch(inside)
        else:
            inside()
        self.now += 1
        self.trace.nvtx(begin * US, self.now * US, name, thread=self.thread)
        self.now += 2

    def write(self, folder: Path) -> Path:
        path = folder / "trace.sqlite"
        self.trace.write(path, force=True)
        return path
