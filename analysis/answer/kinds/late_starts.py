"""Work that starts late."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "held-starts"


KIND = Kind(
    "late-starts",
    "work that starts late",
    (
        "Work starts later than its launch and its stream allow, and nothing that was recorded "
        "says why."
    ),
    (
        "The GPU starts work **{spent}** a step later than launches and streams allow ({count}). "
        "What held it was not recorded."
    ),
    (
        "Look for another process on the GPU (`nsys profile --gpuctxsw=true`), a host function, "
        "or a wait that was not traced."
    ),
    "mixed",
    _fits,
)
