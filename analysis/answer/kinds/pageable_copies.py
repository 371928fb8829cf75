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
        "Copies from pageable memory (`{call}` in `{where}`, {count}) hold the host for "
        "**{spent}** a step."
    ),
    (
        "Copy from pinned memory, asynchronously: `pin_memory=True` in the DataLoader and "
        "`.to(device, non_blocking=True)`."
    ),
    "mixed",
    _fits,
)
