"""A late rank."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "straggler",
    "a late rank",
    "One rank comes late to the collectives, and the others wait for it.",
    "The other ranks wait in collectives for a late one.",
    "Look into that rank's own trace: give part of its work to others, or mend what holds it.",
    "mixed",
    _fits,
)
