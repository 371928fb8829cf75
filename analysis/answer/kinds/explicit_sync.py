"""Explicit synchronisation."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change in ("wait", "hidden-wait")


KIND = Kind(
    "explicit-sync",
    "explicit synchronisation",
    (
        "`{call}` in `{where}`, {count}, holds the host for **{spent}** a step until the "
        "GPU has run dry; then the GPU waits for the host."
    ),
    (
        "Leave the synchronisation out, or let it wait for the step before, through an "
        "event; time with CUDA events, not with a clock behind a synchronisation."
    ),
    "sync",
    _fits,
)
