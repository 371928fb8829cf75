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
        "The host reads a value that the GPU computes (`.item()`, `.cpu()`, `bool()`, "
        "`nonzero()` or the like), and waits until the GPU has done all that was queued."
    ),
    (
        "The host reads a value from the GPU in `{where}` (`.item()`, `.cpu()`, `bool()`, "
        "`nonzero()` or the like), {count}, and waits **{spent}** a step for it. By then the GPU "
        "has no work left, and waits for the host."
    ),
    (
        "Keep the value on the GPU, or copy it to pinned memory and read it one step later; read "
        "what is only logged every N steps."
    ),
    "sync",
    _fits,
)
