"""Explicit synchronisation."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change in ("wait", "hidden-wait")


KIND = Kind(
    "explicit-sync",
    "explicit synchronisation",
    "The program itself waits for the GPU, with `torch.cuda.synchronize()` or the like.",
    (
        "The host waits for the GPU in `{where}` (`{call}`, {count}), for **{spent}** a step. By "
        "then the GPU has no work left, and waits for the host."
    ),
    (
        "Remove the wait, or wait for the step before, through an event; measure time with CUDA "
        "events, not with a clock behind a synchronisation."
    ),
    "sync",
    _fits,
)
