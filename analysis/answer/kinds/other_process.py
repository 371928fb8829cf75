"""Another process on the GPU."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "other-process",
    "another process on the GPU",
    "Another process works on the same GPU, and the two take turns.",
    "The GPU works for a context of another process **{idle}** a step: the two take turns.",
    "Run alone on the GPU, or let the processes share it (MPS, or MIG).",
    "mixed",
    _fits,
    causes=("other-context",),
)
