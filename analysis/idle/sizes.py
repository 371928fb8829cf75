"""How much of a trace is held at once."""

from __future__ import annotations

from collections.abc import Callable

from msgspec import Struct

from ..model.trace import Trace

PER_OPERATION = 400
"""Bytes of memory that one operation of a part, its gap, its calls and its ranges may take."""
FIXED = 160 << 20
"""Bytes that the interpreter and its libraries take."""
LEAST, MOST = 1 << 14, 1 << 21


class Sizes(Struct, frozen=True):
    """How many rows are held at once."""

    operations: int = MOST
    host_rows: int = 2 * MOST
    """Calls and ranges; one operation's launch and one instant's ranges are the least."""

    @classmethod
    def all(cls, trace: Trace) -> Sizes:
        """All rows of a trace that is in memory."""
        return cls(max(len(trace.operations), 1), max(len(trace.calls), len(trace.ranges), 1))


def sizes_for(budget: int) -> Sizes:
    """How much to hold at once so that the process stays below `budget` bytes."""
    rows = min(max((budget - FIXED) // (2 * PER_OPERATION), LEAST), MOST)
    return Sizes(rows, 2 * rows)


Progress = Callable[[str, int, int], None]
"""Called with what is being done, and how many of how many rows of it are done."""


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody hears of."""
    del what, done, total
