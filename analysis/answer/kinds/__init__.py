"""What a gain is about, and the remedy that fits. One kind is a file here that defines `KIND`, and
its name in `MODULES`; the first that fits a gain is its kind.
"""

from __future__ import annotations

import importlib
from functools import cache

from .base import Kind

__all__ = ["MODULES", "Kind", "kind_named", "kinds"]

MODULES = (
    "garbage_collection", "compilation", "input_pipeline", "host_code", "device_value_read",
    "polling", "explicit_sync", "python_threads", "held_host", "stalled_step", "allocator",
    "module_loading", "slow_launches", "eager_launches",
    "pageable_copies", "copies_on_path", "stream_dependency", "page_migration", "other_process",
    "host_function", "straggler", "profiler", "late_starts", "graph_gaps", "queue_gaps",
    "exposed_communication", "copy_bound", "gpu",
)  # fmt: skip


@cache
def kinds() -> tuple[Kind, ...]:
    """All of them, in their order."""
    return tuple(importlib.import_module(f".{name}", __name__).KIND for name in MODULES)


def kind_named(name: str) -> Kind:
    """The kind of that name. Raises KeyError where there is none."""
    return {kind.name: kind for kind in kinds()}[name]
