"""Memory allocator."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "allocator"


KIND = Kind(
    "allocator",
    "memory allocator",
    (
        "Calls that take memory from the driver or give it back (`{call}` in `{where}`, "
        "{count}) hold the host for **{spent}** a step."
    ),
    (
        "Keep the memory: no `torch.cuda.empty_cache()` in the loop, buffers allocated "
        "once; where the cache fragments, `PYTORCH_ALLOC_CONF=expandable_segments:True`."
    ),
    "mixed",
    _fits,
)
