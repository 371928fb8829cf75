"""The GPU itself."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "kernel"


KIND = Kind(
    "gpu",
    "the GPU itself",
    "The GPU's own work is the limit: no change on the host would win 5% of a step.",
    "No change on the host would win 5% of a step.",
    (
        "Only faster or fewer kernels shorten the step: use lower precision, fuse kernels, or "
        "compute less."
    ),
    "gpu",
    _fits,
)
