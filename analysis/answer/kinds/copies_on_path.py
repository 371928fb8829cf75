"""Copies in the kernels' way."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "copies-aside"


KIND = Kind(
    "copies-on-path",
    "copies in the kernels' way",
    (
        "Copies between host and GPU (`{call}` in `{where}`, {count}) run for **{spent}** a"
        " step on a stream that also runs kernels, which wait for them."
    ),
    ("Copy the next batch on a stream of its own, from pinned memory, while the GPU computes."),
    "mixed",
    _fits,
)
