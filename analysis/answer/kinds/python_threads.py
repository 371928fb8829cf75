"""Threads that contend."""

from __future__ import annotations

from ...gains.changes.long_pauses import BLOCKED
from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "long-pauses" and rung.detail == BLOCKED


KIND = Kind(
    "python-threads",
    "threads that contend",
    (
        "Other threads keep the thread that launches from running: they hold Python's "
        "interpreter lock, or there are too few cores."
    ),
    (
        "The thread that launches cannot run for **{spent}** a step in all ({count}): other "
        "threads hold Python's interpreter lock (GIL), or there are too few cores."
    ),
    (
        "Move the other threads' work to other processes, or into code that releases the lock; "
        "give the process more cores."
    ),
    "launch",
    _fits,
)
