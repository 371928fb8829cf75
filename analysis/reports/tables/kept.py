"""Views that look at every operation or gap of a trace, whose rows outlive its arrays.

Of many traces, only one a process is held whole. `analysis.reports.slim` draws what the question
asks for while it still can; the tables take those rows, or draw them now from a whole trace.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from ...report import TraceReport

Row = TypeVar("Row")


def rows_of(
    trace: TraceReport, view: str, draw: Callable[[TraceReport], Iterable[Row]]
) -> tuple[Row, ...]:
    """The rows of one view of one trace, kept or drawn."""
    if trace.kept is None:
        return tuple(draw(trace))
    assert view in trace.kept, f"{view} of {trace.path} was not kept"
    rows: tuple[Row, ...] = trace.kept[view]
    return rows
