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
        "Work is launched in time and starts **{spent}** a step later than its stream "
        "allows ({count}); what held it was not recorded."
    ),
    (
        "Look for another process or context on the GPU (`nsys profile --gpuctxsw=true`), a"
        " host function, or a wait that was not traced."
    ),
    "mixed",
    _fits,
)
