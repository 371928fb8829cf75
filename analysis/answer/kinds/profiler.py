"""The profiler."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "profiler",
    "the profiler",
    (
        "The profiler works on the thread that launches while the GPU idles; the program alone "
        "does not."
    ),
    (
        "The GPU idles **{idle}** a step while the profiler works on the thread that launches: "
        "that is not the program's doing."
    ),
    "Record a shorter window, or trace less.",
    "mixed",
    _fits,
    causes=("profiler",),
)
