"""Page migration."""

from __future__ import annotations

from .base import Kind
from .base import never as _fits

KIND = Kind(
    "page-migration",
    "page migration",
    "Pages of managed memory move between host and GPU while the GPU waits for them.",
    "The GPU waits **{idle}** a step while pages of managed memory move.",
    (
        "Move the pages before they are needed (`cudaMemPrefetchAsync`), say where they belong "
        "(`cudaMemAdvise`), or copy explicitly."
    ),
    "mixed",
    _fits,
    causes=("migration",),
)
