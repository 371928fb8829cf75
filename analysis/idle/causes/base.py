"""What an idle cause is.

Every idle instant t before an operation N, launched by a call [a, b) on thread T, lies in one
phase, and within its phase exactly one cause claims it:

    before   t < a        what T was doing instead of launching
    launch   a <= t < b   inside the launching call
    after    t >= b       launched, not started
    none     there is no N, or no row of its launch
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum

from msgspec import Struct

from ...model.arrays import Bool
from ...model.intervals import Int64
from ...model.trace import ThreadRows, Trace
from ..held import Held


class Phase(IntEnum):
    """Where an idle instant lies against the launch of the operation that ends the gap."""

    BEFORE = 0
    LAUNCH = 1
    AFTER = 2
    NONE = 3


class GapContext(Struct, frozen=True, eq=False):
    """Gaps that have time left in the cause's phase. Arrays have shape (gaps,)."""

    trace: Trace
    after: Int64
    """Row of the operation after the gap."""
    launch: Int64
    """Call that launched it; always known, but for pages that moved without one."""
    before: Int64
    """Row of the operation before the gap, -1 at the window's edge."""
    launch_before: Int64
    """Call that launched the operation before the gap, -1 where unknown."""


class Cause(Struct, frozen=True):
    """One reason for which a device is idle.

    `rows(trace, calls)` gives intervals on host threads, among others of the calls at these rows of
    `Trace.calls` (those that touch a gap), and only serves in the phase `before`; `claims` gives a
    mask, shape (gaps,), of the gaps whose still unclaimed time in the phase is this cause's.
    `holds(trace, device, process)` gives intervals on a device in which it could not start the
    process's work, and only serves in the phase `after`: they take of a gap what they cover, but
    for those whose rows end after the operation began. With none of these, the cause takes all
    that is left of its phase. A lower priority claims first.
    """

    name: str
    phase: Phase
    priority: int
    meaning: str
    """One sentence for a person."""
    remedy: str
    """What usually removes it."""
    rows: Callable[[Trace, Int64], ThreadRows] | None = None
    claims: Callable[[GapContext], Bool] | None = None
    holds: Callable[[Trace, int, int], Held] | None = None
