"""Copies from pageable memory."""

from __future__ import annotations

from ...gains.changes.copies_aside import PAGEABLE
from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "pageable-copies" or rung.detail == PAGEABLE


KIND = Kind(
    "pageable-copies",
    "copies from pageable memory",
    (
        "Copies come from or go to host memory that is not pinned: the host waits for them, and so "
        "do kernels in the same stream."
    ),
    (
        "`{call}` in `{where}` copies from or to memory that is not pinned, {count}, and takes "
        "**{spent}** a step: the host waits for it, and so do kernels in the same stream."
    ),
    (
        "Copy from pinned memory, asynchronously: `pin_memory=True` in the DataLoader and "
        "`.to(device, non_blocking=True)`."
    ),
    "mixed",
    _fits,
)
