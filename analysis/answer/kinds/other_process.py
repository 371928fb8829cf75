"""Another process on the GPU."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "other-process",
    "another process on the GPU",
    ("Another process's context has the GPU for **{idle}** a step, and the two take turns."),
    "Run alone on the GPU, or let the processes share it (MPS, or MIG).",
    "mixed",
    _fits,
    causes=("other-context",),
)
