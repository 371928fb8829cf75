"""Single steps that stall."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "stalled"


KIND = Kind(
    "stalled-step",
    "single steps that stall",
    (
        "Most of the time that could be won lies in a few steps that took far longer than the "
        "others."
    ),
    "Most of that comes from **{where}**.",
    ("Do what happens there (a checkpoint, a log, an evaluation) beside the loop, or less often."),
    "mixed",
    _fits,
)
