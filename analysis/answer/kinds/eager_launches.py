"""Eager launches."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "graph"


KIND = Kind(
    "eager-launches",
    "eager launches",
    (
        "The GPU is faster than the host can launch: **{number}** launches take the host "
        "**{spent}** a step."
    ),
    ('Launch less: `torch.compile`, a CUDA graph (`mode="reduce-overhead"`), or a larger batch.'),
    "launch",
    _fits,
)
