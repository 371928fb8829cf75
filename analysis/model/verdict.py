"""What is wrong with which figures of a trace."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """How far a figure may be believed."""

    OK = "ok"
    DEGRADED = "degraded"
    INVALID = "invalid"


@dataclass(frozen=True)
class Verdict:
    """What is wrong with which figures, and how to mend it."""

    figures: str
    """`device`, `steps`, `causes` or `all`."""
    level: Level
    code: str
    reason: str
    remedy: str
