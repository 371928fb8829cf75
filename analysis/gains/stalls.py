"""Steps that took far longer than the others: one stalled step is no habit of the loop."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..idle.figures import SeriesSummary
from ..model.intervals import Int64

TIMES = 3.0
"""A step is stalled that took so many times the median."""
FEW = 0.1
"""Share of the steps that may be stalled: more are no exception."""


class Stalls(Struct, frozen=True):
    """The stalled steps of a series; times in ns."""

    numbers: tuple[int, ...]
    """What users call them, the longest first."""
    longest_ns: int
    median_ns: float
    """Of all steps."""
    mean_ns: float
    without_ns: float
    """The mean without them."""

    @property
    def excess_ns(self) -> float:
        """What they add to the mean step."""
        return self.mean_ns - self.without_ns


def stalls_of(series: SeriesSummary) -> Stalls | None:
    """None where no step is stalled, or so many that they are the rule."""
    table = series.table
    length = _lengths(table.gpu_start, table.operations)
    steady = np.flatnonzero(table.steady & (length > 0))
    own = length[steady]
    if len(own) < 5:
        return None
    median = float(np.median(own))
    late = own > TIMES * median
    if not late.any() or np.count_nonzero(late) > max(1, FEW * len(own)):
        return None
    order = np.argsort(-own[late], kind="stable")
    named = _where(steady[late][order], table.host)
    return Stalls(
        numbers=tuple(dict.fromkeys(table.number[named].tolist())),
        longest_ns=int(own.max()),
        median_ns=median,
        mean_ns=float(own.mean()),
        without_ns=float(own[~late].mean()),
    )


def _where(late: Int64, host: Int64) -> Int64:
    """The steps that users find at fault: the one before, where it is its range that took so long
    on the host, so that the work of the next step began late."""
    before = late - 1
    usual = float(np.median(host))
    theirs = (host[before] > TIMES * usual) & (host[before] > host[late])
    return np.where(theirs, before, late)


def _lengths(start: Int64, operations: Int64) -> Int64:
    """From the first operation of the step before to that of each step: what happened on the way to
    it is its own; 0 where either has none."""
    length = np.zeros(len(start), np.int64)
    both = (operations[1:] > 0) & (operations[:-1] > 0)
    length[1:][both] = np.maximum(np.diff(start)[both], 0)
    return length
