"""Host function in a stream."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "host-function",
    "host function in a stream",
    "A stream or graph waits **{idle}** a step for a host function.",
    (
        "Keep host functions short: no Python and no locks in them; or let the host wait "
        "for an event and do the work itself."
    ),
    "mixed",
    _fits,
    causes=("host-function",),
)
