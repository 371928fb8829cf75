"""Gaps between queued launches."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "queue-gaps",
    "gaps between queued launches",
    "Work is launched in time, and the GPU idles between one launch and the next: a few µs each.",
    (
        "The host is ahead of the GPU: work is queued in time, and the GPU idles between one of "
        "its **{number}** launches a step and the next."
    ),
    (
        "Fewer, larger kernels: `torch.compile`, or a larger batch; or a CUDA graph, whose "
        "kernels follow each other faster."
    ),
    "gpu",
    _fits,
)
