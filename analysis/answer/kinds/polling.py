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
    (
        "The host asks until the GPU is done in `{where}` ({call}), {count}, for "
        "**{spent}** a step; then the GPU waits for the host."
    ),
    "Launch the next step before asking: ask for the step before, through an event.",
    "sync",
    _fits,
)
