"""What is said of rows whose times cannot be: of GPU work, of ranges and of CUDA calls."""

from __future__ import annotations

from ..idle.counts import Counted
from ..model.trace import Dropped, Trace, Unusable
from ..model.verdict import Level, Verdict
from ..store.opened import Store
from . import codes

IMPOSSIBLE_CALLS = 0.01
"""Share of CUDA calls with impossible times from which no cause is believed any more."""


def unusable_rows(trace: Trace | Store, counted: Counted) -> list[Verdict]:
    """One verdict a kind of row; where no row of a kind is left, `validity` says so elsewhere."""
    found = []
    if trace.dropped.total and counted.operations:
        found.append(
            Verdict(
                "device",
                Level.DEGRADED,
                codes.ROWS_DROPPED,
                f"GPU rows that count as not busy: {of_operations(trace.dropped)}"
                + _at_most(trace.dropped.empty if counted.microseconds else 0),
                "record again if they are more than a handful",
            )
        )
    if trace.ranges_dropped.total and counted.ranges:
        found.append(
            Verdict(
                "steps",
                Level.DEGRADED,
                codes.RANGES_DROPPED,
                f"NVTX ranges that are left out: {of_host(trace.ranges_dropped)}; steps may be "
                "missing",
                "record again if they are more than a handful",
            )
        )
    calls = trace.calls_unusable
    if calls.total:
        share = calls.total / (counted.calls + calls.null + calls.absurd)
        found.append(
            Verdict(
                "causes",
                Level.INVALID if share >= IMPOSSIBLE_CALLS else Level.DEGRADED,
                codes.IMPOSSIBLE_CALLS,
                f"CUDA calls with impossible times ({share:.2%} of all): {of_host(calls)}; what "
                "they waited for is not known",
                "record again; idle time is not affected",
            )
        )
    return found


def _at_most(rounded: int) -> str:
    """What rows without a length took where times are whole microseconds."""
    return f": operations of under 1 µs, in all at most {rounded} µs" if rounded else ""


def of_operations(dropped: Dropped) -> str:
    """The reasons and their numbers."""
    return _listed(
        (dropped.empty, "with end <= start"),
        (dropped.null, "without a start or an end"),
        (dropped.absurd, "with impossible times"),
    )


def of_host(rows: Unusable) -> str:
    """The reasons and their numbers."""
    return _listed(
        (rows.reversed, "with end < start"),
        (rows.null, "without a start"),
        (rows.absurd, "with impossible times"),
    )


def _listed(*parts: tuple[int, str]) -> str:
    return ", ".join(f"{count} {what}" for count, what in parts if count)
