"""Polling."""

from __future__ import annotations

from ...gains.changes.waits import FLAG_WAIT, POLLING
from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change in ("wait", "hidden-wait") and rung.call in (POLLING, FLAG_WAIT)


KIND = Kind(
    "polling",
    "polling",
    "The host asks again and again until the GPU is done, and launches nothing meanwhile.",
    (
        "The host asks in `{where}` until the GPU is done, {count}. By then the GPU has no work "
        "left, and waits for the host."
    ),
    "Launch the next step first, and then ask for the step before, through an event.",
    "sync",
    _fits,
)
