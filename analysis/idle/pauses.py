"""Idle time in a pause of the recording: what the host did then is unknown, and no loop's."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from msgspec.structs import replace

from ..model.intervals import Int64, Intervals
from .causes import causes
from .gaps import DeviceGaps
from .split import Split


def paused(gaps: DeviceGaps, pauses: Sequence[Intervals]) -> Int64:
    """Rows of the gaps that are pauses of the recording by the steps of some series."""
    found = np.zeros(len(gaps), np.bool_)
    for one in pauses:
        at = np.searchsorted(one.start, gaps.start)
        near = np.minimum(at, max(len(one) - 1, 0))
        if len(one):
            found |= (one.start[near] == gaps.start) & (one.end[near] == gaps.end)
    return np.flatnonzero(found)


def without_causes(
    gaps: DeviceGaps, rows: Int64, split: Split, again: Callable[[DeviceGaps], Split]
) -> Split:
    """The split of all these gaps, of which those at `rows` are of unknown cause."""
    others = np.setdiff1d(np.arange(len(gaps)), rows)
    rest = again(gaps.only(others))
    unknown = [cause.name for cause in causes()].index("unknown")
    time = split.time.copy()
    time[:, rows] = 0
    time[unknown, rows] = gaps.length[rows]
    drained_by, drains, ahead = split.drained_by.copy(), split.drains.copy(), split.ahead.copy()
    drained_by[rows] = drains[rows] = -1
    ahead[rows] = False
    used = rest.used | {unknown}
    whole = split.whole
    if whole is not None:
        launch = whole.launch.copy()
        launch[rows] = -1  # what it launched after the pause says nothing of the time before
        whole = replace(
            whole, time=time, launch=launch, drained_by=drained_by, ahead=ahead,
            used=tuple(sorted(used)),
        )  # fmt: skip
    return Split(
        time, used, drained_by, drains, ahead, rest.host, rest.handoffs, rest.skewed, rest.skew_ns,
        whole,
    )  # fmt: skip
