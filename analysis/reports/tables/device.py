"""Each GPU, stream and definition over the whole window; step times where there is no GPU."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec.structs import astuple

from ...question import Question
from ...report import TraceReport
from ...statistics.quantiles import Quantiles
from ..base import Column, Report, Table, Value
from .kept import rows_of
from .place import OF_DEVICE, OF_TRACE, believed, name_of

ALL = "all"
"""In place of a GPU's number: all GPUs of one trace together."""
_OF_ALL = f"GPU {ALL}: all GPUs of the trace together, idle while not one of them works."


def devices(report: Report) -> Table:
    """Device figures over the whole window: given whether or not steps were found."""
    rows: list[tuple[Value, ...]] = []
    for trace in report.by_label:
        for gaps, device in zip(trace.gaps, trace.devices, strict=True):
            valid = believed(trace)
            q = device.gaps
            rows.append(
                (
                    name_of(trace),
                    trace.path,
                    gaps.device.ordinal,
                    gaps.device.name,
                    gaps.device.uuid,
                    device.window_ns,
                    device.busy_ns if valid else None,
                    device.idle_ns if valid else None,
                    device.idle_ns / device.window_ns if valid else None,
                    device.communication_ns if valid else None,
                    device.gap_count if valid else None,
                    q.p50_ns if q and valid else None,
                    q.p95_ns if q and valid else None,
                    q.p99_ns if q and valid else None,
                    q.max_ns if q and valid else None,
                )
            )
        if len(trace.gaps) > 1:
            window, idle = trace.all_window_ns, trace.all_idle_ns
            known = believed(trace) and window > 0
            none: tuple[Value, ...] = (None,) * 6
            rows.append(
                (
                    name_of(trace),
                    trace.path,
                    ALL,
                    "",
                    "",
                    window,
                    window - idle if known else None,
                    idle if known else None,
                    idle / window if known else None,
                    *none,
                )
            )
    return Table(
        "devices",
        "Each GPU over the whole window",
        (
            *OF_TRACE,
            Column("device", "GPU", "int", _OF_ALL if any(r[2] == ALL for r in rows) else ""),
            Column("device_name", "name"),
            Column("device_uuid", "uuid"),
            Column("window_ns", "window ms", "ms"),
            Column("busy_ns", "busy ms", "ms"),
            Column("idle_ns", "idle ms", "ms"),
            Column("idle_share", "idle", "percent"),
            Column("communication_ns", "comm. ms", "ms"),
            Column("gap_count", "gaps", "int"),
            Column("gap_p50_ns", "gap p50 µs", "us"),
            Column("gap_p95_ns", "gap p95 µs", "us"),
            Column("gap_p99_ns", "gap p99 µs", "us"),
            Column("gap_max_ns", "longest gap µs", "us"),
        ),
        tuple(rows),
    )


def host_steps(report: Report) -> Table:
    """Host step times, shown where no figure of a GPU can be given."""
    rows: list[tuple[Value, ...]] = []
    for trace in report.by_label:
        if trace.gaps and believed(trace):
            continue
        for host in trace.host:
            period, length = host.period, host.duration
            rows.append(
                (
                    name_of(trace),
                    trace.path,
                    host.pid,
                    host.tid,
                    host.pattern,
                    host.steps,
                    *_quantiles(period),
                    *_quantiles(length)[:2],
                )
            )
    return Table(
        "host_steps",
        "Step times on the host (where no GPU figure can be given)",
        (
            *OF_TRACE,
            Column("pid", "pid", "id"),
            Column("tid", "tid", "id"),
            Column("pattern", "pattern"),
            Column("steps", "steps", "int"),
            Column("host_period_p50_ns", "period p50 µs", "us"),
            Column("host_period_p95_ns", "period p95 µs", "us"),
            Column("host_period_max_ns", "period max µs", "us"),
            Column("host_step_p50_ns", "range p50 µs", "us"),
            Column("host_step_p95_ns", "range p95 µs", "us"),
        ),
        tuple(rows),
    )


def _quantiles(q: Quantiles | None) -> tuple[Value, Value, Value]:
    return (q.p50_ns, q.p95_ns, q.max_ns) if q else (None, None, None)


def by_stream(report: Report) -> Table:
    """Each stream on its own, inside the window: its idle time is not the device's."""
    rows = [row for trace in report.by_label for row in rows_of(trace, "by_stream", stream_rows)]
    return Table(
        "by_stream",
        "Each stream on its own (a stream's idle time is not the device's)",
        (
            *OF_DEVICE,
            Column("pid", "pid", "id"),
            Column("stream", "stream", "int"),
            Column("context", "context no.", "int"),
            Column("operations", "operations", "int"),
            Column("extent_ns", "extent ms", "ms"),
            Column("busy_ns", "busy ms", "ms"),
            Column("idle_ns", "idle ms", "ms"),
            Column("gap_count", "gaps", "int"),
        ),
        tuple(rows),
    )


def definitions(report: Report) -> Table:
    """The same traces under other people's definitions."""
    rows = [
        row for trace in report.by_label for row in rows_of(trace, "definitions", definition_rows)
    ]
    return Table(
        "definitions",
        "The same trace under other definitions of idle",
        (
            *OF_DEVICE,
            Column("definition", "definition"),
            Column("idle_ns", "idle ms", "ms"),
            Column("idle_share", "idle", "percent"),
            Column("gap_count", "gaps", "int"),
            Column("note", "difference"),
        ),
        tuple(rows),
    )


def stream_rows(trace: TraceReport) -> Iterator[tuple[Value, ...]]:
    """One row a stream of one trace."""
    if not believed(trace):
        return
    for k, gaps in enumerate(trace.gaps):
        for one in trace.details(k, Question(by="stream")).streams:
            yield (name_of(trace), trace.path, gaps.device.ordinal, *astuple(one))


def definition_rows(trace: TraceReport) -> Iterator[tuple[Value, ...]]:
    """One row a device and definition of one trace."""
    if not believed(trace):
        return
    for k, gaps in enumerate(trace.gaps):
        for one in trace.details(k, Question(definitions=True)).definitions:
            share = one.idle_ns / one.window_ns if one.window_ns else None
            yield (
                name_of(trace),
                trace.path,
                gaps.device.ordinal,
                one.name,
                one.idle_ns,
                share,
                one.gaps,
                one.note,
            )
