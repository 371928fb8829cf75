"""Gaps inside a CUDA graph."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "graph-gaps"


KIND = Kind(
    "graph-gaps",
    "gaps inside a CUDA graph",
    "The GPU idles between the nodes of a CUDA graph, where the host has no part.",
    (
        "The GPU idles **{spent}** a step between the nodes of CUDA graphs ({count}), where the "
        "host has no part."
    ),
    (
        "Make fewer, larger nodes: fuse kernels (`torch.compile`), or let branches of the graph "
        "run side by side."
    ),
    "gpu",
    _fits,
)
