"""What calls take by themselves: without waiting for work, or for room in the launch queue."""

from __future__ import annotations

import numpy as np

from ..model.arrays import Bool
from ..model.cuda_calls import SYNCHRONIZE
from ..model.intervals import Int64
from ..model.nesting import innermost
from ..model.polling import QUERY
from ..model.schema import MAX_TIME
from ..model.trace import Calls

TYPICAL_LAUNCH = 3_000
"""Stands in where no launch of a trace ran freely, ns."""
TYPICAL_WAIT = 5_000
"""What a call that waits takes at most beside its way back from a wait, where none of a trace found
its work done, ns."""


def own_times(
    calls: Calls,
    rows: Int64,
    clock: Int64,
    held: Bool,
    blocked: Bool,
    launches: Bool,
    longest: int = MAX_TIME,
) -> Int64:
    """Of the calls at `rows`, in order of their start, each of which takes time of one `clock`;
    which `held` says waited for work, `blocked` for room in the queue, and `launches` queued work;
    shape (rows,), ns.

    A call that waited takes as long as is usual for its name among those that did not; where a
    synchronising call always waited, as long as the shortest, and no longer than `longest`. Where
    calls overlap, the time is that of the one that began last.
    """
    length = _apart(calls.start[rows], calls.end[rows], clock, held)
    name = calls.name[rows]
    launching = ~held & ~blocked & launches
    typical = int(np.median(length[launching])) if launching.any() else TYPICAL_LAUNCH
    own: Int64 = length.copy()
    for code in np.unique(name[held | blocked]).tolist():
        these = name == code
        like = length[these & ~held & ~blocked]
        if len(like):
            usual = int(np.median(like))
        elif calls.names[code] in SYNCHRONIZE | QUERY:
            usual = min(int(length[these].min()), longest)
        else:
            usual = typical
        late = these & (held | blocked)
        own[late] = np.minimum(length[late], usual)
    return own


def _apart(start: Int64, end: Int64, clock: Int64, held: Bool) -> Int64:
    """Length of calls, less that of calls inside; those inside of one that waited take none."""
    length = end - start
    for one in range(int(clock.max(initial=-1)) + 1):
        mine = np.flatnonzero(clock == one)
        if not (start[mine][1:] < np.maximum.accumulate(end[mine])[:-1]).any():
            continue
        mine = mine[np.lexsort((-end[mine], start[mine]))]
        waited = np.maximum.accumulate(np.where(held[mine], end[mine], start[mine[0]]))
        outer = np.ones(len(mine), np.bool_)
        outer[1:] = end[mine][1:] > waited[:-1]
        length[mine] = 0
        mine = mine[outer]
        spans, owner = innermost(start[mine], end[mine])
        length[mine] = np.bincount(owner, spans.end - spans.start, minlength=len(mine))
    return length
