"""A late rank."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "rank"


KIND = Kind(
    "straggler",
    "a late rank",
    "{where} makes the others wait **{gain}** a step in collectives.",
    (
        "Look into that rank's own trace: give its part of the work to others, or mend what"
        " holds it."
    ),
    "mixed",
    _fits,
)
