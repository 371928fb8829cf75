"""What could be changed of a recorded loop.

One change is a file here that defines `CHANGE`, and its name in `MODULES`; of gains that are as
good as equal, the change that stands first is named first.
"""

from __future__ import annotations

import importlib
from functools import cache

from .base import Change, Costs, Offer

__all__ = ["MODULES", "Change", "Costs", "Offer", "changes"]

MODULES = (
    "module_loading", "host_time", "wait", "hidden_wait", "place", "long_pauses", "allocator",
    "slow_launches", "held_starts", "stream_waits", "pageable_copies", "copies_aside", "one_graph",
    "graph_gaps", "late_rank", "kernels",
)  # fmt: skip


@cache
def changes() -> tuple[Change, ...]:
    """All of them, in their order."""
    return tuple(importlib.import_module(f".{name}", __name__).CHANGE for name in MODULES)
