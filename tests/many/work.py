"""Work for the pool's tests: functions that a process of its own can import."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path


def double(item: int) -> int:
    return 2 * item


def nap(item: float) -> float:
    time.sleep(item)
    return item


def linger(item: float) -> float:
    """Done, but its process is not: as where a trace is kept beside its analysis."""
    threading.Thread(target=time.sleep, args=(item,)).start()
    return item


def die_on_seven(item: int) -> int:
    """What the kernel does to a process when memory runs out."""
    if item == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def die_once(folder: str) -> str:
    """Dies the first time, as where several processes together need too much."""
    first = Path(folder) / "first"
    if not first.exists():
        first.touch()
        os._exit(9)
    return folder


def fail(item: int) -> float:
    return item / 0


def lost(item: object) -> str:
    return f"lost {item}"


def die_writing(delay: float) -> bytes:
    """A large result, and a death that comes as it is pickled or written."""
    threading.Timer(delay, os.kill, (os.getpid(), signal.SIGKILL)).start()
    return bytes(200_000_000)
