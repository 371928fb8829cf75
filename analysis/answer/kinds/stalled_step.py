"""Single steps that stall."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "stalled"


KIND = Kind(
    "stalled-step",
    "single steps that stall",
    "Most of that is the doing of single steps: **{where}**.",
    "Do what those steps do (a checkpoint, a log, an evaluation) beside the loop, or less often.",
    "mixed",
    _fits,
)
