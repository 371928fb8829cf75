"""A late rank."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "rank"


KIND = Kind(
    "straggler",
    "a late rank",
    "One rank comes late to the collectives, and the others wait for it.",
    "The other ranks wait **{gain}** a step in collectives for **{where}**.",
    "Look into that rank's own trace: give part of its work to others, or mend what holds it.",
    "mixed",
    _fits,
)
