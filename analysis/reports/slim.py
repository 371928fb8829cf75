"""A trace's report without the trace: what `harness gaps` shows of it, at a few kilobytes.

Five hundred traces cannot be held at once, nor sent from the process that read them. The figures
are small; the views that need every operation or gap are drawn first, and their rows kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, replace

from ..model.communication import Communication
from ..model.intervals import Intervals
from ..model.trace import Strings
from ..question import Question
from ..report import TraceReport
from .tables.details import cause_rows, longest_rows
from .tables.device import definition_rows, stream_rows

if TYPE_CHECKING:
    from ..ranks.collectives import RankSteps

T = TypeVar("T", bound=Struct)


def slim(report: TraceReport, question: Question) -> TraceReport:
    """The same report with empty arrays, fit for the tables, JSON, CSV and Markdown of the question
    alone. The steps' own table stays: quantiles pool over it.
    """
    kept = {name: tuple(draw(report)) for name, draw in _views(question).items()}
    if report.detailed is not None:
        return replace(report, kept=kept)  # it never had rows
    trace = report.trace
    return replace(
        report,
        trace=replace(
            trace,
            strings=Strings({}),
            threads=(),
            operations=_emptied(trace.operations),
            calls=replace(_emptied(trace.calls), names=()),
            synchronizations=_emptied(trace.synchronizations),
            ranges=_emptied(trace.ranges),
            overheads=_emptied(trace.overheads),
            holds=_emptied(trace.holds),
        ),
        gaps=tuple(
            replace(_emptied(gaps), rows=_NONE, busy=Intervals(_NONE, _NONE))
            for gaps in report.gaps
        ),
        attributions=(),
        steps=replace(report.steps, series=()),
        kept=kept,
    )


_NONE = np.empty(0, np.int64)


def _views(question: Question) -> dict[str, Callable[[TraceReport], Any]]:
    """How to draw each view that is asked for and that a slim report could not."""
    found: dict[str, Callable[[TraceReport], Any]] = {}
    if question.by in (None, "rank") or question.gains:  # a late rank is a gain in every view
        found["ranks"] = lambda report: _ranks(report, question)
    if question.by == "cause":
        found["by_cause"] = cause_rows
    if question.by == "stream":
        found["by_stream"] = stream_rows
    if question.top:
        found["top_gaps"] = lambda report: longest_rows(report, question.top)
    if question.definitions:
        found["definitions"] = definition_rows
    return found


def _ranks(report: TraceReport, question: Question) -> tuple[RankSteps, ...]:
    """Collectives are rows: a report of figures alone knows none."""
    if report.detailed is not None or not any(d.communication_ns for d in report.devices):
        return ()
    from ..ranks.collectives import rank_steps

    return rank_steps(report, Communication(question.comm))


def _emptied(columns: T) -> T:
    """The same record, its arrays without rows."""
    arrays = {n: v[:0].copy() for n, v in asdict(columns).items() if isinstance(v, np.ndarray)}
    return replace(columns, **arrays)
