"""The profiler's own work on the launching thread."""

from __future__ import annotations

import numpy as np

from ...model.arrays import factorize
from ...model.intervals import Int64
from ...model.trace import ThreadRows, Trace
from .base import Cause, Phase

NOT_THE_PROFILERS = frozenset({"Command Buffer Full", "Lazy Function Loading"})
"""CUPTI files these under overhead, but the program would meet them without a profiler too: a
launch queue that is full, and a kernel's code loaded on first use."""


def _rows(trace: Trace, calls: Int64) -> ThreadRows:
    del calls  # the profiler's rows are not calls
    overheads = trace.overheads
    codes, ids = factorize(overheads.name)
    own = np.array([trace.strings[i] not in NOT_THE_PROFILERS for i in ids.tolist()], np.bool_)
    mask = (own[codes] if len(ids) else np.zeros(0, np.bool_)) & (overheads.thread >= 0)
    return ThreadRows(overheads.thread[mask], overheads.start[mask], overheads.end[mask])


CAUSE = Cause(
    name="profiler",
    phase=Phase.BEFORE,
    priority=10,
    meaning="the profiler was flushing buffers or instrumenting on the launching thread",
    remedy="not the program's doing: shorten the captured window, or trace less",
    rows=_rows,
)
