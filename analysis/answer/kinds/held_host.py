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
        "The thread that launches pauses far longer than usual in many places, and nothing that "
        "was recorded says why."
    ),
    (
        "The thread that launches pauses again and again, for **{spent}** a step in all "
        "({count}), far longer than it usually does between two launches. What holds it was not "
        "recorded."
    ),
    (
        "Look for other Python threads (they share the interpreter lock), too few cores, and "
        "tracers; `harness profile` records for how long the thread ran."
    ),
    "launch",
    _fits,
)
