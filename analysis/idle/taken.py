"""What causes that go by intervals on a device take of the gaps there."""

from __future__ import annotations

from weakref import WeakKeyDictionary

import numpy as np

from ..model.intervals import EMPTY, Int64, Intervals, union, without
from ..model.trace import Holds, Trace
from .causes import Cause, causes
from .held import covered_within, of_each_process

_apart: WeakKeyDictionary[Holds, dict[tuple[int, int], dict[str, Intervals]]] = WeakKeyDictionary()


def apart(trace: Trace, device: int, process: int) -> dict[str, Intervals]:
    """The time that each such cause takes from a process on a device: what its intervals cover,
    and those of the causes before it do not."""
    known = _apart.setdefault(trace.holds, {})
    if (device, process) not in known:
        found: dict[str, Intervals] = {}
        taken = EMPTY
        for cause in causes():
            if cause.holds is not None:
                times = cause.holds(trace, device, process)
                found[cause.name] = without(times, taken)
                taken = union(
                    np.concatenate((taken.start, times.start)),
                    np.concatenate((taken.end, times.end)),
                )
        known[device, process] = found
    return known[device, process]


def taken_by(
    cause: Cause, trace: Trace, after: Int64, start: Int64, end: Int64, left: Int64
) -> tuple[Int64, Int64]:
    """(gaps, ns of each): of the stretches `[start, end)` before the operations `after` those
    of which time is `left` and the cause takes some."""
    rows = np.flatnonzero(left) if len(trace.holds) else np.empty(0, np.int64)
    spent = np.zeros(len(rows), np.int64)
    for device, process, mine in of_each_process(trace, after[rows]):
        times = apart(trace, device, process)[cause.name]
        spent[mine] = covered_within(times, start[rows[mine]], end[rows[mine]])
    some = spent > 0
    return rows[some], spent[some]
