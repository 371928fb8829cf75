"""Any other CUDA API call."""

from __future__ import annotations

from ..intervals import Int64
from ..trace import Trace
from .base import Cause, Phase, ThreadRows
from .calls import allocating, synchronizing, thread_rows


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
