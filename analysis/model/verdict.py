"""What is wrong with which figures of a trace."""

from __future__ import annotations

from enum import StrEnum
from typing import NewType

from msgspec import Struct

Code = NewType("Code", str)
"""One of those of `verdicts/codes.py`, which explains them."""


class Level(StrEnum):
    """How far a figure may be believed."""

    OK = "ok"
    DEGRADED = "degraded"
    INVALID = "invalid"


class Verdict(Struct, frozen=True):
    """What is wrong with which figures, and how to mend it."""

    figures: str
    """`device`, `steps`, `causes` or `all`."""
    level: Level
    code: Code
    reason: str
    remedy: str
