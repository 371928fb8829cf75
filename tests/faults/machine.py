"""What a fault must not do: who is still there, what is still there, what was said."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path

MARK = "HARNESS_TEST_FAULT"
PATIENCE_S = 60.0


def processes(mark: str) -> dict[int, str]:
    """Live processes that inherited the mark, wherever they went: pid to command line."""
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdecimal() or int(entry) == os.getpid():
            continue
        with contextlib.suppress(OSError):
            environment = Path(f"/proc/{entry}/environ").read_bytes()
            if f"{MARK}={mark}".encode() not in environment:
                continue
            state = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0]
            if state not in "ZX":
                words = Path(f"/proc/{entry}/cmdline").read_bytes().decode(errors="replace")
                found[int(entry)] = words.replace("\0", " ")
    return found


def all_gone(mark: str, seconds: float = 20) -> dict[int, str]:
    """What is still there when that time is over; empty as soon as nothing is."""
    end = time.monotonic() + seconds
    while True:
        left = processes(mark)
        if not left or time.monotonic() > end:
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            return left
        time.sleep(0.05)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file that carries a name of its own: hidden ones are nobody's final name."""
    return {
        path.name: path.read_bytes()
        for path in folder.iterdir()
        if path.is_file() and not path.name.startswith(".")
    }


def whole(path: Path) -> bool:
    """Is this a whole manifest, or a whole database?"""
    if path.suffix == ".json":
        return json.loads(path.read_text())["manifest_version"] == 1
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as base:
        tables = base.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        return tables > 0 and base.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


@dataclass
class Started:
    """A `harness` command that runs, with everything it starts marked."""

    process: subprocess.Popen[bytes]
    mark: str
    said: Path
    killed: list[int] = field(default_factory=list)

    def find(self, *words: str, but: tuple[str, ...] = ()) -> list[int]:
        """Its processes whose command line holds all of the words, and none of `but`."""
        return [
            pid
            for pid, line in processes(self.mark).items()
            if all(word in line for word in words) and not any(word in line for word in but)
        ]

    def kill(self, pids: list[int]) -> None:
        """kill -9."""
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                self.killed.append(pid)

    def wait(self) -> int:
        """Its exit code; a command that never ends fails here."""
        return self.process.wait(PATIENCE_S)

    def words(self) -> list[str]:
        """The lines that it said on stderr."""
        return self.said.read_text(errors="replace").splitlines()


def start(folder: Path, *arguments: object, **env: str) -> Started:
    """Run `harness ARGUMENTS` in `folder`, as a process that can be killed."""
    mark = uuid.uuid4().hex
    said = folder / f".said-{mark}"
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "harness", *map(str, arguments)],
            cwd=folder,
            env=os.environ | {MARK: mark} | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            start_new_session=True,
        )
    return Started(process, mark, said)
