"""Page migration."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "page-migration",
    "page migration",
    "Pages of managed memory move while the GPU waits for them, **{idle}** a step.",
    (
        "Move them beforehand (`cudaMemPrefetchAsync`), say where they belong "
        "(`cudaMemAdvise`), or copy explicitly."
    ),
    "mixed",
    _fits,
    causes=("migration",),
)
