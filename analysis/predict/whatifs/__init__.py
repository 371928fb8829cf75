"""What-ifs: functions from one program to another. One is a file here that defines `WHAT_IF`, and
its name in `MODULES`; the order is that of the output.

`faster_kernels` changes the GPU and not the loop: it is asked for by name (`--gpu`).
"""

from __future__ import annotations

import importlib
from functools import cache

from .base import Costs, WhatIf

__all__ = ["MODULES", "Costs", "WhatIf", "what_ifs"]

MODULES = ("hide_sync", "drop_sync", "graph_launches", "graph_and_hide")


@cache
def what_ifs() -> tuple[WhatIf, ...]:
    """All of them, in their order."""
    return tuple(importlib.import_module(f".{name}", __name__).WHAT_IF for name in MODULES)
