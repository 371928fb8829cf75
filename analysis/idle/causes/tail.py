"""After the last operation of the window."""

from __future__ import annotations

from .base import Cause, Phase

CAUSE = Cause(
    name="tail",
    phase=Phase.NONE,
    priority=10,
    meaning="no operation follows inside the window",
    remedy="look at a window that ends with work",
)
