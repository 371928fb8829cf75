"""Device and pinned memory being allocated or freed."""

from __future__ import annotations

from ...model.cuda_calls import allocating, thread_rows
from ...model.intervals import Int64
from ...model.trace import ThreadRows, Trace
from .base import Cause, Phase


def _rows(trace: Trace, calls: Int64) -> ThreadRows:
    return thread_rows(trace.calls, calls[allocating(trace.calls, calls)])


CAUSE = Cause(
    name="allocator",
    phase=Phase.BEFORE,
    priority=20,
    meaning="the launching thread was inside cudaMalloc, cudaFree or kin",
    remedy="preallocate, reuse a static cache, or let the caching allocator grow in segments",
    rows=_rows,
)
