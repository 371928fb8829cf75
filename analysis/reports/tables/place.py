"""Columns and values that say which trace, series and device a row is about."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from ...idle.figures import SeriesSummary
from ...model.short_names import cut
from ...model.text import plain
from ...report import TraceReport
from ...verdicts.judge import Level
from ..base import Column, Report, Value

LONGEST = 40
"""Characters of a trace's name in a sentence."""
_READ = 1000
"""Characters of it that are looked at."""
OF_TRACE = (Column("strategy", "strategy"), Column("trace", "trace"))
OF_DEVICE = (*OF_TRACE, Column("device", "GPU", "int"))
WHERE = (
    *OF_DEVICE,
    Column("pid", "pid", "id"),
    Column("tid", "tid", "id"),
    Column("pattern", "pattern"),
)


def name_of(trace: TraceReport) -> str:
    """Label of a trace; simulated and synthetic ones always say so."""
    origin = trace.trace.source.origin
    return trace.label if origin == "measured" else f"{trace.label} ({origin})"


def of_strategies(traces: Iterable[TraceReport]) -> bool:
    """Whether every trace is of a strategy of ours."""
    return all(trace.trace.source.strategy for trace in traces)


def brief_name(trace: TraceReport) -> str:
    """That label where there is little room: its beginning and its end."""
    return cut(plain(name_of(trace), _READ), LONGEST)


def file_name(trace: TraceReport) -> str:
    """The name of a trace's file, where there is little room: its beginning and its end."""
    return cut(plain(Path(trace.path).name, _READ), LONGEST)


def place(trace: TraceReport, series: SeriesSummary) -> tuple[Value, ...]:
    device = trace.trace.devices[series.device]
    return (
        name_of(trace),
        trace.path,
        device.ordinal,
        series.pid,
        series.tid,
        series.pattern,
    )


def believed(trace: TraceReport, *figures: str) -> bool:
    """Whether figures may be shown: those of the device always count, `causes` where asked."""
    return all(trace.level(f) is not Level.INVALID for f in ("device", *figures))


def each(report: Report) -> Iterator[tuple[TraceReport, SeriesSummary]]:
    return ((trace, series) for trace in report.by_label for series in trace.series)
