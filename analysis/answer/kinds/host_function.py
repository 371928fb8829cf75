"""Host function in a stream."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "host-function",
    "host function in a stream",
    "A stream or a CUDA graph waits until a function on the host has returned.",
    (
        "The GPU waits **{idle}** a step until functions on the host have returned, which "
        "streams or graphs call."
    ),
    (
        "Keep host functions short, without Python and locks; or let a thread wait for an event "
        "and do the work itself."
    ),
    "mixed",
    _fits,
    causes=("host-function",),
)
