"""The worker processes, seen from the parent: one for each allocator setting, started when needed.

Imports no torch. At most one worker measures at a time; the others wait on a pipe.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from ..own_python import own_python
from .cells import Cell
from .errors import NothingMeasured, ProfilerAttached, VisitFailed
from .plan import Protocol

_QUIT_S = 10.0


class Worker:
    """One process that measures, with its facts (`ready`)."""

    def __init__(self, allocator: str, device: str, progress: Callable[[str], None]) -> None:
        self.allocator = allocator
        self.seen: set[str] = set()
        self.progress = progress
        self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        began = time.monotonic_ns()
        self._process = subprocess.Popen(
            own_python(
                "-m", "harness.bench.worker", f"--allocator={allocator}", f"--device={device}"
            ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("HARNESS_DEBUG") else self._said,
            text=True,
        )
        progress(f"starting a process (allocator: {allocator})")
        try:
            self.facts = self._answer("ready")
        except BaseException:
            self.end()
            raise
        self.start_ns = time.monotonic_ns() - began

    def visit(self, cell: Cell, protocol: Protocol) -> dict[str, Any]:
        """Measure one cell; raises VisitFailed. `alive` says whether the worker can go on."""
        first = cell.key not in self.seen
        self.seen.add(cell.key)
        request = {
            "op": "visit",
            "workload": cell.workload.to_dict() | {"steps": None},
            "protocol": dataclasses.asdict(protocol),
            "first": first,
        }
        with contextlib.suppress(BrokenPipeError):  # its answer, or its end, says more
            assert self._process.stdin is not None
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        return self._answer("visit")

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def _answer(self, wanted: str) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if not line.endswith("\n"):
                break  # it died as it wrote
            found: dict[str, Any] = json.loads(line)
            if found["event"] == wanted:
                return found
            if found["event"] == "progress":
                self.progress(found["text"])
            elif found["event"] == "error":
                if found["fatal"]:
                    self.end()
                raise VisitFailed(found["message"])
        self.end()
        raise VisitFailed(f"the measuring process {self._ending()}")

    def _ending(self) -> str:
        code = self._process.returncode
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        with contextlib.suppress(OSError, ValueError):
            self._said.seek(0)
            lines = self._said.read()[-4000:].decode(errors="replace").strip().splitlines()
            if lines:
                how += f": {lines[-1][:200]}"
        return how

    def end(self) -> None:
        """Let it finish, or kill it; idempotent."""
        process = self._process
        with contextlib.suppress(OSError):
            if process.stdin is not None:
                process.stdin.close()
        try:
            process.wait(_QUIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def kill(self) -> None:
        """Stop it at once, whatever it does."""
        self._process.kill()
        self._process.wait()


class Pool:
    """The workers of a session, by allocator. `started` is told of every worker that starts."""

    def __init__(
        self,
        device: str,
        progress: Callable[[str], None],
        started: Callable[[Worker], int] = lambda _: 0,
    ) -> None:
        self.device, self.progress = device, progress
        self._started = started
        self._workers: dict[str, tuple[Worker, int]] = {}

    def visit(self, cell: Cell, protocol: Protocol) -> tuple[dict[str, Any], int]:
        """(what came of it, the worker's row). Raises VisitFailed where this cell cannot be
        measured, HarnessError where no process can be started."""
        name = cell.allocator
        if name not in self._workers:
            self._workers[name] = self._start(name)
        worker, row = self._workers[name]
        try:
            return worker.visit(cell, protocol), row
        finally:
            if not worker.alive:
                del self._workers[name]

    def _start(self, name: str) -> tuple[Worker, int]:
        try:
            worker = Worker(name, self.device, self.progress)
        except VisitFailed as error:
            raise NothingMeasured(f"nothing can be measured: {error}") from None
        try:
            _refuse_profiler(worker.facts)
            return worker, self._started(worker)
        except BaseException:
            worker.end()
            raise

    def close(self, *, at_once: bool = False) -> None:
        """End every worker."""
        for worker, _ in self._workers.values():
            if at_once:
                worker.kill()
            else:
                worker.end()
        self._workers.clear()


def _refuse_profiler(facts: Mapping[str, Any]) -> None:
    if facts.get("profiler"):
        raise ProfilerAttached(
            f"a profiler ({facts['profiler']}) is attached to the measuring process"
        )
