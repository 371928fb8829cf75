"""What calls take by themselves: without waiting for work, or for room in the launch queue."""

from __future__ import annotations

import numpy as np

from ..model.arrays import Bool
from ..model.cuda_calls import SYNCHRONIZE
from ..model.intervals import Int64
from ..model.polling import QUERY
from ..model.trace import Calls

TYPICAL_LAUNCH = 3_000
"""Stands in where no launch of a trace ran freely, ns."""


def own_times(calls: Calls, rows: Int64, held: Bool, blocked: Bool, launches: Bool) -> Int64:
    """Of the calls at `rows`, which `held` says waited for work, `blocked` for room in the queue,
    and `launches` queued work; shape (rows,), ns.

    A synchronising call takes as long as the shortest of its name, another call that waited as
    long as is usual for its name among those that did not.
    """
    length = (calls.end - calls.start)[rows]
    name = calls.name[rows]
    launching = ~held & ~blocked & launches
    typical = int(np.median(length[launching])) if launching.any() else TYPICAL_LAUNCH
    own: Int64 = length.copy()
    for code in np.unique(name[held | blocked]).tolist():
        these = name == code
        if calls.names[code] in SYNCHRONIZE | QUERY:
            own[these] = np.minimum(length[these], int(length[these].min()))
            continue
        like = length[these & ~held & ~blocked]
        usual = int(np.median(like)) if len(like) else typical
        late = these & (held | blocked)
        own[late] = np.minimum(length[late], usual)
    return own
