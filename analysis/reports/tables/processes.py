"""Who was recorded: one row a process of each trace."""

from __future__ import annotations

from collections.abc import Sequence

from ...model.source import ERROR
from ...report import TraceReport
from ..base import Column, Report, Table, Value
from .place import OF_TRACE, name_of


def processes(reports: Sequence[TraceReport]) -> Table:
    """What was recorded of each process, over the whole trace, and what its profiler said of it."""
    rows: list[tuple[Value, ...]] = [
        (
            name_of(report),
            report.path,
            one.pid,
            one.ranges,
            one.calls,
            one.launches,
            one.recorded,
            one.operations,
            _said(report, one.pid),
        )
        for report in reports
        for one in report.processes
    ]
    return Table(
        "processes",
        "Each recorded process over the whole trace",
        (
            *OF_TRACE,
            Column("pid", "pid", "id"),
            Column("ranges", "ranges", "int"),
            Column("calls", "API calls", "int"),
            Column("launches", "launches", "int"),
            Column("recorded_launches", "recorded", "int"),
            Column("operations", "GPU rows", "int"),
            Column("diagnostics", "the profiler said"),
        ),
        tuple(rows),
    )


def census(report: Report) -> Table:
    """The same of the traces that hold several processes: of one alone it says nothing new."""
    return processes([trace for trace in report.by_label if len(trace.processes) > 1])


def _said(report: TraceReport, pid: int) -> str:
    """Its profiler's warnings and errors about one process."""
    said = [one for one in report.trace.source.diagnostics if pid in one.pids]
    return "; ".join(f"{'error' if d.severity == ERROR else 'warning'}: {d.text}" for d in said)
