"""A command that is timed as a whole process, and the machine that it ran on."""

from __future__ import annotations

import os
import platform
import resource
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO


class EntryFailed(SystemExit):
    """A command did not end well; one line that says how."""


@dataclass
class Entry:
    """One command and what its runs took."""

    name: str
    command: list[str]
    folder: Path | None = None
    limit_s: float | None = None
    """A run that takes longer is killed."""
    memory: int | None = None
    """Bytes of address space that it may take."""
    wall_s: list[float] = field(default_factory=list)
    cpu_s: list[float] = field(default_factory=list)
    peak_mb: list[float] = field(default_factory=list)
    said: str = ""
    """The last line that it printed."""

    def run(self, *, timed: bool = True) -> None:
        """Run once; wall, CPU (user + system) and peak memory are kept. Raises EntryFailed."""
        # Installed packages have their bytecode; a checkout may have been told to write none.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
            before = time.perf_counter()
            child = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
            )
            if self.memory is not None:
                resource.prlimit(child.pid, resource.RLIMIT_AS, (self.memory, self.memory))
            stop = threading.Timer(self.limit_s, child.kill) if self.limit_s else None
            if stop:
                stop.start()
            try:
                _, status, usage = os.wait4(child.pid, 0)
                wall = time.perf_counter() - before
            except BaseException:
                child.kill()
                child.wait()
                raise
            finally:
                if stop:  # after ^C too: a timer that goes on keeps this process alive
                    stop.cancel()
            child.returncode = os.waitstatus_to_exitcode(status)
            self.said = _last_line(output)
            if self.limit_s and wall >= self.limit_s:
                raise EntryFailed(f"{self.name}: not done after {self.limit_s:.0f} s")
            if child.returncode:
                raise EntryFailed(f"{self.name} exited {child.returncode}: {_last_line(errors)}")
        if not timed:
            return
        self.wall_s.append(wall)
        self.cpu_s.append(usage.ru_utime + usage.ru_stime)
        self.peak_mb.append(usage.ru_maxrss / 1024)


def _last_line(file: IO[bytes]) -> str:
    file.seek(0)
    lines = file.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1] if lines else ""


def machine() -> list[str]:
    """What the figures depend on."""
    cpu = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    facts = [f"{cpu}, {os.cpu_count()} logical CPUs", f"Python {platform.python_version()}"]
    if nsys := shutil.which("nsys"):
        said = subprocess.run([nsys, "--version"], capture_output=True, text=True, check=False)
        facts.append(said.stdout.strip())
    return facts
