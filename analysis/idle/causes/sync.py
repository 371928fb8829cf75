"""The host waiting for the GPU while the GPU had nothing to do."""

from __future__ import annotations

from ...model.cuda_calls import synchronizing, thread_rows
from ...model.intervals import Int64
from ...model.trace import ThreadRows, Trace
from .base import Cause, Phase


def _rows(trace: Trace, calls: Int64) -> ThreadRows:
    return thread_rows(trace.calls, calls[synchronizing(trace)[calls]])


CAUSE = Cause(
    name="sync",
    phase=Phase.BEFORE,
    priority=30,
    meaning="the launching thread was still inside a synchronising call",
    remedy="wait on the event of the one copy you read, a step late, instead of on the stream",
    rows=_rows,
)
