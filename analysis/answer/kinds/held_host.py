"""A host that is held up everywhere."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "long-pauses"


KIND = Kind(
    "held-host",
    "host held up between launches",
    (
        "The thread that launches pauses again and again between its launches, for **{spent}** a "
        "step ({count}), far longer than launching takes it otherwise; what holds it up was not "
        "recorded."
    ),
    (
        "Look for other Python threads (the interpreter lock), too few cores, and tracers; "
        "`harness profile` notes for how long the thread ran."
    ),
    "launch",
    _fits,
)
