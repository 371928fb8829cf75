"""Host code."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "host"


KIND = Kind(
    "host-code",
    "host code",
    (
        "**{spent}** a step go by on the thread that launches in `{where}`, between CUDA "
        "calls; the GPU idles through **{idle}** of that."
    ),
    (
        "Make it shorter, move it to another thread or process, or do it while the GPU has "
        "work queued."
    ),
    "launch",
    _fits,
)
