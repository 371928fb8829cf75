"""The tables of `harness gaps`, from reports to rows; no format is decided here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from ..base import Report, Table
from .bare import bare
from .calibrated import calibration
from .details import by_cause, steps, top_gaps
from .device import by_stream, definitions, devices, host_steps
from .figures import drained, idle_causes, overview, pooled
from .gains import gains
from .place import believed, name_of
from .processes import census, processes
from .ranks import by_rank, rank_lines

__all__ = [
    "VIEWS",
    "asked",
    "bare",
    "by_cause",
    "by_rank",
    "by_stream",
    "calibration",
    "census",
    "definitions",
    "devices",
    "drained",
    "gains",
    "host_steps",
    "idle_causes",
    "name_of",
    "overview",
    "pooled",
    "processes",
    "rank_lines",
    "steps",
    "tables",
    "top_gaps",
]

VIEWS = ("step", "cause", "strategy", "stream", "rank")


def tables(report: Report) -> list[Table]:
    """Everything that is asked for, in reading order; without rows nothing is shown."""
    found = list(_asked(report, [_one] if not report.question.all_tables else [gains, *_FIGURES]))
    if not report.question.all_tables and not _views(report):
        return [table for table in found if table.rows][:1]
    return [table for table in found if table.rows]


def asked(report: Report) -> list[Table]:
    """What is asked for as figures, for a machine: tables that have no rows too, one at least."""
    return list(_asked(report, _FIGURES))


_FIGURES = (overview, idle_causes, drained, devices, host_steps, census, bare, calibration)
"""The tables of figures where no view is asked for."""


def _views(report: Report) -> bool:
    question = report.question
    return bool(question.by or question.top or question.definitions)


def _asked(report: Report, main: Iterable[Callable[[Report], Table]]) -> Iterator[Table]:
    question = report.question
    if question.by:
        yield _by(report, question.by)
    elif not _views(report):
        yield from (table(report) for table in main)
        if _repeated(report) and question.all_tables:
            yield pooled(report)
    if question.top:
        yield top_gaps(report, question.top)
    if question.definitions:
        yield definitions(report)


def _by(report: Report, by: str) -> Table:
    if by == "step":
        return steps(report, report.question.top)
    views = {"cause": by_cause, "stream": by_stream, "rank": by_rank, "strategy": pooled}
    return views[by](report)


def _one(report: Report) -> Table:
    """The table that the answer goes with: what changes would win, of several traces what each
    one's steps are; of what has no steps the GPUs, and the host's steps where no GPU is believed.
    """
    found = gains(report)
    if len(report.traces) == 1 and found.rows:
        return found
    told = [trace for trace in report.traces if believed(trace)]
    if any(one.steady or one.own_edges for trace in told for one in trace.series):
        return overview(report)
    return devices(report) if told else host_steps(report)


def _repeated(report: Report) -> bool:
    labels = [trace.label for trace in report.traces]
    return len(set(labels)) < len(labels)
