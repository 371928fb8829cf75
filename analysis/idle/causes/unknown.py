"""The launching call is not in the trace."""

from __future__ import annotations

from .base import Cause, Phase

CAUSE = Cause(
    name="unknown",
    phase=Phase.NONE,
    priority=20,
    meaning="the launch of the operation after the gap was not recorded",
    remedy="record CUDA API calls too (`--trace=cuda`), and start before the work is launched",
)
