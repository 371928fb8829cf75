"""Any other CUDA API call."""

from __future__ import annotations

from ...model.cuda_calls import allocating, synchronizing, thread_rows
from ...model.intervals import Int64
from ...model.trace import ThreadRows, Trace
from .base import Cause, Phase


def _rows(trace: Trace, calls: Int64) -> ThreadRows:
    others = ~(allocating(trace.calls, calls) | synchronizing(trace)[calls])
    return thread_rows(trace.calls, calls[others])


CAUSE = Cause(
    name="api",
    phase=Phase.BEFORE,
    priority=40,
    meaning="the launching thread was inside another CUDA call",
    remedy="fewer calls per step: fewer events and queries, fused kernels, a CUDA graph",
    rows=_rows,
)
