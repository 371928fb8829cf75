"""How many cores this process may use, and how many of them reading one trace may."""

from __future__ import annotations

import os

_share = 0


def usable() -> int:
    """Cores that this process may run on, which a container or a scheduler may limit."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def share(count: int) -> None:
    """Let this process read with so many threads: it is one of several on the machine."""
    global _share  # noqa: PLW0603
    _share = max(1, count)


def threads() -> int:
    """Threads with which one trace is read."""
    return _share or usable()
