"""Waits between streams."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "stream-waits"


KIND = Kind(
    "stream-dependency",
    "waits between streams",
    "Streams wait for each other, and work that could run side by side does not.",
    (
        "Streams wait for each other's events (in `{where}`, {count}), and work that could run "
        "side by side does not."
    ),
    (
        "Record the event right behind the work that is needed, wait for it as late as possible, "
        "or drop the wait where the order is given anyway."
    ),
    "mixed",
    _fits,
)
