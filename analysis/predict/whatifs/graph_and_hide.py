"""Both at once: the stop check reads late, and the launches between two waits are one graph."""

from __future__ import annotations

from ..program import Program
from . import graph_launches, hide_sync
from .base import Costs, WhatIf


def _change(program: Program, costs: Costs) -> Program:
    return graph_launches.WHAT_IF.change(hide_sync.WHAT_IF.change(program, costs), costs)


WHAT_IF = WhatIf("graph+hide", _change, lambda program, costs: "")
