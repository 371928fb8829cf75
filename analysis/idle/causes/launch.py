"""Inside the call that launches the operation."""

from __future__ import annotations

from .base import Cause, Phase

CAUSE = Cause(
    name="launch",
    phase=Phase.LAUNCH,
    priority=90,
    meaning="inside the CUDA call that launched the operation after the gap",
    remedy="fewer, larger launches: fused kernels or a CUDA graph",
)
