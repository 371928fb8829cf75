"""Python, dispatch, and everything else that is not CUDA."""

from __future__ import annotations

from .base import Cause, Phase

CAUSE = Cause(
    name="host",
    phase=Phase.BEFORE,
    priority=90,
    meaning="the launching thread was in Python or framework code, between CUDA calls",
    remedy="run ahead of the GPU (no synchronisation), or do less per step: compile, CUDA graph",
)
