"""Waits for a flag in pinned memory, which no call shows: what is known of them."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from .intervals import Int64

FLAG = "(a flag in pinned memory)"
"""What stands for the name of the call that waited, where none did."""


class FlagWaits(Struct, frozen=True, eq=False):
    """Arrays have shape (waits,), by `call`, ascending."""

    call: Int64
    """The call that ended the silence: the next one of the thread that waited."""
    start: Int64
    """When the call before it ended, ns."""
    end: Int64
    """When the copy ended, ns."""
    followed: int
    """Copies that were waited for,"""
    copies: int
    """of so many at the places where that was found."""

    @classmethod
    def none(cls) -> FlagWaits:
        nothing = np.empty(0, np.int64)
        return cls(nothing, nothing, nothing, 0, 0)

    def among(self, calls: Int64) -> FlagWaits:
        """Those before the calls at these rows, ascending; `call` counts among them."""
        if len(self.call) == 0 or len(calls) == 0:
            return FlagWaits.none()
        low, high = np.searchsorted(self.call, [calls[0], calls[-1] + 1])
        at = np.searchsorted(calls, self.call[low:high])
        here = calls[at] == self.call[low:high]
        mine = low + np.flatnonzero(here)
        return FlagWaits(at[here], self.start[mine], self.end[mine], self.followed, self.copies)

    def between(self, low: int, high: int) -> tuple[Int64, Int64]:
        """When those before the calls at rows `[low, high)` began and ended."""
        first, last = np.searchsorted(self.call, [low, high])
        return self.start[first:last], self.end[first:last]

    def at(self, calls: Int64) -> Int64:
        """Of the waits before these calls, the last instant, ns."""
        last: Int64 = self.end[np.searchsorted(self.call, calls)] - 1
        return last
