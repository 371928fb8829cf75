"""Between the nodes of one CUDA graph launch."""

from __future__ import annotations

from ...model.arrays import Bool
from .base import Cause, GapContext, Phase


def _claims(context: GapContext) -> Bool:
    same: Bool = context.launch == context.launch_before
    return same


CAUSE = Cause(
    name="graph",
    phase=Phase.AFTER,
    priority=10,
    meaning="between two operations of one launch: inside a CUDA graph, on the device",
    remedy="fewer, larger nodes; the host is not involved",
    claims=_claims,
)
