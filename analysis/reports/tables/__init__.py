"""The tables of `harness gaps`, from reports to rows; no format is decided here."""

from __future__ import annotations

from collections.abc import Iterator

from ..base import Report, Table
from .calibrated import calibration
from .details import by_cause, steps, top_gaps
from .device import by_stream, definitions, devices, host_steps
from .figures import drained, idle_causes, overview, pooled
from .gains import gains
from .place import name_of
from .processes import census, processes
from .ranks import by_rank, rank_lines

__all__ = [
    "VIEWS",
    "asked",
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
    return [table for table in asked(report) if table.rows]


def asked(report: Report) -> list[Table]:
    """The same with tables that have no rows; at least one."""
    question = report.question
    chosen = []
    if question.top:
        chosen.append(top_gaps(report, question.top))
    if question.definitions:
        chosen.append(definitions(report))
    if question.by or not chosen:
        chosen = [*_main(report), *chosen]
    return chosen


def _main(report: Report) -> Iterator[Table]:
    by = report.question.by
    if by == "step":
        yield steps(report, report.question.top)
    elif by == "cause":
        yield by_cause(report)
    elif by == "stream":
        yield by_stream(report)
    elif by == "rank":
        yield by_rank(report)
    elif by == "strategy":
        yield pooled(report)
    elif not report.question.all_tables:
        yield _one(report)
    else:
        yield gains(report)
        yield overview(report)
        yield idle_causes(report)
        yield drained(report)
        yield devices(report)
        yield host_steps(report)
        yield census(report)
        yield calibration(report)
        if _repeated(report):
            yield pooled(report)


def _one(report: Report) -> Table:
    """The table that the answer goes with: what changes would win, of several traces what each
    one's steps are, and of what has no steps, the GPUs."""
    found = gains(report)
    if len(report.traces) == 1 and found.rows:
        return found
    if any(one.steady or one.own_edges for trace in report.traces for one in trace.series):
        return overview(report)
    return devices(report) if any(trace.gaps for trace in report.traces) else host_steps(report)


def _repeated(report: Report) -> bool:
    labels = [trace.label for trace in report.traces]
    return len(set(labels)) < len(labels)
