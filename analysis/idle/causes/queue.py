"""Launched and not started, with nothing in the trace that holds it back."""

from __future__ import annotations

from .base import Cause, Phase

CAUSE = Cause(
    name="queue",
    phase=Phase.AFTER,
    priority=90,
    meaning="launched, not yet started: launch latency and the device's own scheduling",
    remedy="a few microseconds per operation are the hardware's; a CUDA graph shortens them",
)
