"""Idle causes: one table, walked by the engine in `attribute.py`.

To add a cause, add a row to `table.py`, and what it goes by to `claims.py` or `../held.py`, if
more than its phase. Nothing else needs to change: the engine, reports and the contract test walk
the table.
"""

from __future__ import annotations

from functools import cache

from .base import Cause, GapContext, Phase
from .table import CAUSES

__all__ = ["Cause", "GapContext", "Phase", "causes"]


@cache
def causes() -> tuple[Cause, ...]:
    """Every cause, in the order in which they claim time."""
    return tuple(sorted(CAUSES, key=lambda cause: (cause.phase, cause.priority)))
