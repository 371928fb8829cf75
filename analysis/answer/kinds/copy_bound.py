"""Copies that nothing hides."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "copy-bound",
    "copies that nothing hides",
    "The GPU is kept busy, for a good part by copies beside which no kernel runs.",
    (
        "The GPU has work nearly all of the time, and much of it is copies between host and GPU "
        "beside which no kernel runs."
    ),
    (
        "Copy less: keep data on the GPU, send smaller types, copy once what does not change; "
        "copy from pinned memory, which is faster."
    ),
    "gpu",
    _fits,
)
