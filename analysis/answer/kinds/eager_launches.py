"""Eager launches."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "graph"


KIND = Kind(
    "eager-launches",
    "eager launches",
    "The GPU finishes its work faster than the host can launch more.",
    (
        "The GPU finishes work faster than the host launches it: **{number}** launches take the "
        "host **{spent}** a step."
    ),
    (
        'Launch less often: use `torch.compile` (`mode="reduce-overhead"` makes CUDA graphs), a '
        "CUDA graph of your own, or a larger batch."
    ),
    "launch",
    _fits,
)
