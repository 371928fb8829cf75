"""Idle causes: one module each, found by name, walked by the engine in `attribute.py`.

To add a cause, add a module here that defines `CAUSE`. Nothing else needs to change: the engine,
the tables, the reference and the contract test walk this registry.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from .base import Cause, Phase

__all__ = ["Cause", "Phase", "causes"]


@cache
def causes() -> tuple[Cause, ...]:
    """Every registered cause, in the order in which they claim time."""
    found = []
    for module in pkgutil.iter_modules(__path__):
        cause = getattr(importlib.import_module(f".{module.name}", __name__), "CAUSE", None)
        if isinstance(cause, Cause):
            found.append(cause)
    return tuple(sorted(found, key=lambda c: (c.phase, c.priority, c.name)))
