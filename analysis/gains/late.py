"""Work that started later than its launch, its stream and its events allow: something held it.

Pages that moved, another context, a host function, the device itself: no constant of a machine
foretells it, so a replay starts such work as late as it started in the recording.
"""

from __future__ import annotations

import numpy as np

from ..model.intervals import Int64
from .loop import Loop
from .machine import NEVER

LEAST_NS = 10_000
"""Later than this by less, work is just slow to start."""


def late_starts(loop: Loop) -> Int64:
    """How much later each operation started, ns; 0 below `LEAST_NS`; shape (operations,)."""
    timing = loop.timing
    allowed = loop.start[loop.action] + timing.latency_ns
    gap = np.where(loop.chained, timing.node_gap_ns, timing.gap_ns)
    for lane in range(loop.lanes):
        mine = np.flatnonzero(loop.lane == lane)
        if len(mine) == 0:
            continue
        before = np.concatenate(([loop.running[lane]], loop.recorded_end[mine[:-1]]))
        before = np.maximum.accumulate(before)
        allowed[mine] = np.maximum(allowed[mine], before + gap[mine])
        holds = [hold for hold in loop.holds if hold.lane == lane and hold.target >= 0]
        if holds:
            at = np.array([hold.action for hold in holds])
            ends = loop.recorded_end[[hold.target for hold in holds]] + timing.event_ns
            reach = np.concatenate(([NEVER], np.maximum.accumulate(ends)))
            held = reach[np.searchsorted(at, loop.action[mine], side="left")]
            allowed[mine] = np.maximum(allowed[mine], held)
    late: Int64 = loop.recorded_start - allowed
    late[late < LEAST_NS] = 0
    return late
