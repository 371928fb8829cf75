"""Copies in the kernels' way."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "copies-aside"


KIND = Kind(
    "copies-on-path",
    "copies in the kernels' way",
    "Copies between host and GPU run in the same stream as kernels, which wait for them.",
    (
        "The GPU copies to or from the host for **{spent}** a step (`{call}` in `{where}`, "
        "{count}), in a stream that also runs kernels: they wait for it."
    ),
    "Copy the next batch on a stream of its own, from pinned memory, while the GPU computes.",
    "mixed",
    _fits,
)
