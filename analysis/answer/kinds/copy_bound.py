"""Copies that nothing hides."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "copy-bound",
    "copies that nothing hides",
    "The GPU is kept busy, for a good part by copies beside which no kernel runs.",
    (
        "No change on the host would win 5% of a step; much of the GPU's time goes to copies from "
        "and to the host, beside which no kernel runs."
    ),
    (
        "Copy less: keep data on the GPU, send smaller types, copy once what does not change; "
        "copy from pinned memory, which is faster."
    ),
    "gpu",
    _fits,
)
