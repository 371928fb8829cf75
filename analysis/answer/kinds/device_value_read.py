"""Read of a device value."""

from __future__ import annotations

from ...gains.changes.waits import READ
from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change in ("wait", "hidden-wait") and rung.call == READ


KIND = Kind(
    "device-value-read",
    "read of a device value",
    (
        "The host reads a value from the GPU in `{where}` (`.item()`, `.cpu()`, `bool()`, "
        "`nonzero()` and kin), {count}, and is held for **{spent}** a step until the GPU "
        "has run dry; then the GPU waits for the host."
    ),
    (
        "Keep the value on the GPU, or read it one step late, through pinned memory and an "
        "event; what is only logged is read every N steps."
    ),
    "sync",
    _fits,
)
