"""A late rank."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "late-rank"


KIND = Kind(
    "straggler",
    "a late rank",
    "One rank comes late to the collectives, and the others wait for it.",
    "This rank waits in collectives for {where}, which comes late: **{spent}** a step.",
    "Look into that rank's own trace: give part of its work to others, or mend what holds it.",
    "mixed",
    _fits,
)
