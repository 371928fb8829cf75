"""One row a step, a cause or a gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ...idle.attribute import largest_first
from ...idle.causes import causes
from ...model.text import plain
from ...question import Question
from ...report import TraceReport
from ...verdicts.judge import Level
from ..base import Column, Report, Table, Value
from .kept import rows_of
from .place import OF_DEVICE, WHERE, believed, each, name_of, place

EDGE = "(edge of the window)"
"""Stands for an operation that is not there."""
_LONGEST = 4096
"""Characters of an operation's name."""


def steps(report: Report, worst: int = 0) -> Table:
    """Every step: where it is in the trace, how long, how much of it idle.

    `worst`: only so many of each series and device, those that idle most first.
    """
    rows: list[tuple[Value, ...]] = []
    for trace, series in each(report):
        t = series.table
        order = np.argsort(-t.idle, kind="stable")[:worst] if worst else np.arange(len(t))
        figures = [c[order].tolist() for c in (t.busy, t.idle, t.inter, t.intra)]
        if not believed(trace):
            figures = [[None] * len(order)] * len(figures)
        # A step without GPU work began at no time on the GPU: zero would be a moment like any.
        began = t.gpu_start.astype(object)
        began[t.operations == 0] = None
        facts = (t.number, t.start, t.host, t.operations, began, t.gpu_end - t.gpu_start)
        mostly = [_causes_of(spent) for spent in t.by_cause[:, order].T.tolist()]
        if not believed(trace, "causes"):
            mostly = [""] * len(order)
        columns = (*(c[order].tolist() for c in facts), *figures, mostly)
        rows.extend((*place(trace, series), *row) for row in zip(*columns, strict=True))
    return Table(
        "by_step",
        ("The steps that idle most" if worst else "Every step")
        + " (start: ms in the report, as the Nsight GUI shows it)",
        (
            *WHERE,
            Column("step", "step", "int"),
            Column("start_ns", "start ms", "ms"),
            Column("host_ns", "host µs", "us"),
            Column("operations", "operations", "int"),
            Column("gpu_start_ns", "GPU start ms", "ms"),
            Column("gpu_ns", "GPU µs", "us"),
            Column("busy_ns", "busy µs", "us"),
            Column("idle_ns", "idle µs", "us"),
            Column("inter_ns", "idle between µs", "us"),
            Column("intra_ns", "idle inside µs", "us"),
            Column("mostly", "waits mostly for"),
        ),
        tuple(rows),
        subject=("step", "idle_ns"),
    )


def _causes_of(spent: list[int]) -> str:
    """The two causes with the most of a step's idle time, those below a tenth left out."""
    named = dict(zip((cause.name for cause in causes()), spent, strict=True))
    return _mostly(
        {name: ns for name, ns in largest_first(named).items() if 10 * ns >= sum(spent)}, sum(spent)
    )


def by_cause(report: Report) -> Table:
    """Idle time of each device by cause, with what each cause means."""
    rows = [row for trace in report.by_label for row in rows_of(trace, "by_cause", cause_rows)]
    return Table(
        "by_cause",
        "Idle time by cause, whole window",
        (
            *OF_DEVICE,
            Column("cause", "cause"),
            Column("idle_ns", "idle ms", "ms"),
            Column("share_of_idle", "of idle", "percent"),
            Column("gaps", "gaps", "int"),
            Column("mostly_in", "mostly in"),
            Column("meaning", "meaning"),
            Column("remedy", "what usually removes it"),
        ),
        tuple(rows),
        subject=("cause", "idle_ns", "remedy"),
        gives_way=("meaning", "gaps"),
    )


def cause_rows(trace: TraceReport) -> Iterator[tuple[Value, ...]]:
    """One row a device and cause of one trace, the largest first."""
    if not believed(trace, "causes"):
        return
    for k, device in enumerate(trace.devices):
        touched = trace.details(k).touched
        named = {"host": device.host_ranges, "handoff": device.handoffs}
        for cause in sorted(causes(), key=lambda cause: -device.causes[cause.name]):
            ns = device.causes[cause.name]
            if not ns:
                continue
            yield (
                name_of(trace),
                trace.path,
                trace.gaps[k].device.ordinal,
                cause.name,
                ns,
                ns / device.idle_ns,
                touched[cause.name],
                _mostly(named.get(cause.name, {})),
                cause.meaning,
                cause.remedy,
            )


def _mostly(parts: dict[str, int], total: int = 0) -> str:
    total = total or sum(parts.values())
    top = [f"{plain(name, 60)} {ns / total:.0%}" for name, ns in list(parts.items())[:2]]
    return ", ".join(top)


def top_gaps(report: Report, count: int) -> Table:
    """The longest gaps, with the operations on both sides."""
    rows = [
        row
        for trace in report.by_label
        for row in rows_of(trace, "top_gaps", lambda whole: longest_rows(whole, count))
    ]
    return Table(
        "top_gaps",
        f"The {count} longest gaps of each GPU",
        (
            *OF_DEVICE,
            Column("start_ns", "start ms", "ms"),
            Column("length_ns", "length µs", "us"),
            Column("kind", "kind"),
            Column("step", "step", "int"),
            Column("cause", "mostly"),
            Column("drained_by", "drained by"),
            Column("before", "after"),
            Column("after", "before"),
        ),
        tuple(rows),
        subject=("length_ns", "before", "after"),
    )


def longest_rows(trace: TraceReport, count: int) -> Iterator[tuple[Value, ...]]:
    """One row for each of the longest gaps of each device of one trace."""
    if not believed(trace):
        return
    causes_known = trace.level("causes") is not Level.INVALID
    for k, gaps in enumerate(trace.gaps):
        for one in trace.details(k, Question(top=count)).top:
            yield (
                name_of(trace),
                trace.path,
                gaps.device.ordinal,
                one.start_ns,
                one.length_ns,
                one.kind,
                one.step,
                one.cause if causes_known else None,
                one.drained_by if causes_known else None,
                _operation(one.before),
                _operation(one.after),
            )


def _operation(name: str | None) -> str:
    return EDGE if name is None else plain(name, _LONGEST)
