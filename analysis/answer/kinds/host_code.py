"""Host code."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "host"


KIND = Kind(
    "host-code",
    "host code",
    "The thread that launches runs other code in a range, and the GPU runs dry meanwhile.",
    (
        "The thread that launches spends **{spent}** a step in `{where}`, outside of CUDA calls; "
        "the GPU idles for **{idle}** of that."
    ),
    (
        "Make that code faster, move it to another thread or process, or run it while the GPU "
        "has work queued."
    ),
    "launch",
    _fits,
)
