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
        "Memory is taken from the driver, or given back to it, in the loop; such calls often "
        "wait for the GPU."
    ),
    (
        "The loop takes memory from the driver or gives it back (`{call}` in `{where}`, "
        "{count}), which holds the host for **{spent}** a step."
    ),
    (
        "Keep the memory: call no `torch.cuda.empty_cache()` in the loop, and allocate buffers "
        "once; where the cache fragments, set `PYTORCH_ALLOC_CONF=expandable_segments:True`."
    ),
    "mixed",
    _fits,
)
