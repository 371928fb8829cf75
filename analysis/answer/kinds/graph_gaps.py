"""Gaps inside a CUDA graph."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "graph-gaps"


KIND = Kind(
    "graph-gaps",
    "gaps inside a CUDA graph",
    (
        "Between the nodes of CUDA graphs the GPU idles **{spent}** a step ({count}); the "
        "host has no part in it."
    ),
    (
        "Fewer, larger nodes: fuse kernels (`torch.compile`), or let branches of the graph "
        "run beside each other."
    ),
    "gpu",
    _fits,
)
