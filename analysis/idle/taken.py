"""What causes that go by intervals on a device take of the gaps there."""

from __future__ import annotations

import numpy as np

from ..model.intervals import EMPTY, Int64, Intervals, without
from ..model.trace import Trace
from .causes import Cause, causes
from .held import both, covered_within, of_each_process


def apart(
    trace: Trace, device: int, process: int, after: Int64, start: Int64, end: Int64
) -> dict[str, Intervals]:
    """The time that each such cause takes of the stretches `[start, end)`, disjoint, before the
    operations `after` of a process on a device: what it held of them, and no cause before it."""
    found: dict[str, Intervals] = {}
    taken = EMPTY
    for cause in causes():
        if cause.holds is not None:
            held = cause.holds(trace, device, process)
            times = held.before(start, end, trace.operations.start[after])
            found[cause.name] = without(times, taken)
            taken = both(taken, times)
    return found


def taken_by(
    cause: Cause, trace: Trace, after: Int64, start: Int64, end: Int64, left: Int64
) -> tuple[Int64, Int64]:
    """(gaps, ns of each): of the stretches `[start, end)` before the operations `after` those
    of which time is `left` and the cause takes some."""
    rows = np.flatnonzero(left) if len(trace.holds) else np.empty(0, np.int64)
    spent = np.zeros(len(rows), np.int64)
    for device, process, mine in of_each_process(trace, after[rows]):
        some = rows[mine]
        waits = start[some], end[some]
        times = apart(trace, device, process, after[some], *waits)[cause.name]
        spent[mine] = covered_within(times, *waits)
    taking = spent > 0
    return rows[taking], spent[taking]
