"""The main view: steady-state figures of each step series, and the devices under them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np

from ...answer.choose import choose
from ...idle.causes import causes
from ...idle.figures import SeriesSummary
from ...report import TraceReport
from ...statistics.quantiles import Quantiles
from ..base import Column, Report, Table, Value
from .notes import outside_steps, step_notes
from .place import WHERE, believed, each, name_of, of_strategies, place

_STEP = (
    Column("period_ns", "step µs", "us"),
    Column("busy_ns", "busy µs", "us"),
    Column("idle_ns", "idle µs", "us"),
    Column("idle_p50_ns", "idle p50 µs", "us"),
    Column("idle_p95_ns", "idle p95 µs", "us"),
    Column("idle_p99_ns", "idle p99 µs", "us"),
    Column("idle_max_ns", "idle max µs", "us"),
)
"""Per steady-state step: what each table of steps begins with."""


def overview(report: Report) -> Table:
    """One row per trace, series and device, grouped by strategy."""
    rows: list[tuple[Value, ...]] = []
    all_between_own_edges = True
    for trace, series in each(report):
        steady = series.steady or series.own_edges if believed(trace) else None
        idle = series.idle_per_step if steady else None
        all_between_own_edges &= bool(steady) and not series.steady
        rows.append(
            (
                *place(trace, series),
                (steady.steps if steady else 0) if believed(trace) else None,
                steady.period_ns if steady else None,
                steady.busy_ns if steady else None,
                steady.idle_ns if steady else None,
                idle.p50_ns if idle else None,
                idle.p95_ns if idle else None,
                idle.p99_ns if idle else None,
                idle.max_ns if idle else None,
                steady.inter_ns if steady else None,
                steady.idle_ns / steady.period_ns if steady and steady.period_ns else None,
                *_chosen(trace, series),
            )
        )
    return Table(
        "steps",
        "Idle per step (from its first operation to its last)"
        if rows and all_between_own_edges
        else "Idle per steady-state step (first and last step left out)",
        (
            *WHERE,
            Column("steady_steps", "steps", "int"),
            *_STEP,
            Column("inter_ns", "idle between µs", "us"),
            Column("idle_share", "idle", "percent"),
            Column("gain_kind", "to win by"),
            Column("gain_ns", "wins µs", "us"),
        ),
        tuple(rows),
        step_notes(report),
    )


def _chosen(trace: TraceReport, series: SeriesSummary) -> tuple[str | None, float | None]:
    """The kind of a series' largest gain, and that gain."""
    place = next(k for k, one in enumerate(trace.series) if one is series)
    gains = next((one for one in trace.gains if one.series == place), None)
    if gains is None or gains.ladder is None or not series.steady:
        return None, None
    if not believed(trace, "causes", "steps"):
        return None, None
    chosen = choose(gains, series.steady, causes_believed=True)
    return chosen.kind.name, chosen.rung.gain_ns if chosen.rung else 0.0


def idle_causes(report: Report) -> Table:
    """Idle time per steady-state step by cause."""
    rows: list[tuple[Value, ...]] = []
    names = [cause.name for cause in causes()]
    for trace, series in each(report):
        steady = series.steady or series.own_edges
        if steady is None or not believed(trace, "causes"):
            continue
        split = steady.causes
        rows.append((*place(trace, series), *(split[name] for name in names)))
    return Table(
        "causes",
        "What the idle time waited for, µs per step",
        (*WHERE, *(Column(f"{name}_ns", name, "us") for name in names)),
        tuple(rows),
    )


def drained(report: Report) -> Table:
    """Which synchronisation let the queue run dry, and how much idle time followed it."""
    rows: list[tuple[Value, ...]] = []
    for trace, series in each(report):
        steady = series.steady or series.own_edges
        if steady is None or not believed(trace, "causes"):
            continue
        for name, ns in list(steady.drained_by.items())[:2]:
            share = ns / steady.idle_ns if steady.idle_ns else 0.0
            rows.append((*place(trace, series), name, ns, share))
    return Table(
        "drained_by",
        "What let the queue run dry",
        (
            *WHERE,
            Column("drained_by", "drained by"),
            Column("idle_ns", "idle µs/step", "us"),
            Column("share_of_idle", "of idle", "percent"),
        ),
        tuple(rows),
        subject=("drained_by",),
    )


def pooled(report: Report) -> Table:
    """Interior steps of one kind, by strategy: of all traces, threads and devices together."""
    groups: dict[tuple[str, str], list[tuple[TraceReport, SeriesSummary]]] = defaultdict(list)
    for trace, series in each(report):
        if series.steady and believed(trace):
            groups[name_of(trace), series.pattern].append((trace, series))
    rows: list[tuple[Value, ...]] = []
    for (name, pattern), members in sorted(groups.items()):
        idle = []
        weight = period = busy = 0.0
        for _, series in members:
            assert series.steady is not None
            idle.append(series.table.steady_idle)
            weight += series.steady.steps
            period += series.steady.period_ns * series.steady.steps
            busy += series.steady.busy_ns * series.steady.steps
        q = Quantiles.of(np.concatenate(idle))
        rows.append(
            (
                name,
                len({trace.path for trace, _ in members}),
                pattern,
                int(weight),
                period / weight,
                busy / weight,
                (period - busy) / weight,
                q.p50_ns if q else None,
                q.p95_ns if q else None,
                q.p99_ns if q else None,
                q.max_ns if q else None,
                (period - busy) / period if period else None,
            )
        )
    return Table(
        "strategies",
        "Pooled by strategy" if of_strategies(report.traces) else "Pooled by the trace's name",
        (
            Column("strategy", "strategy"),
            Column("traces", "traces", "int"),
            Column("pattern", "pattern"),
            Column("steady_steps", "steps", "int"),
            *_STEP,
            Column("idle_share", "idle", "percent"),
        ),
        tuple(rows),
        # Elsewhere the main table, which stands above, has said it.
        tuple(outside_steps(report)) if report.question.by == "strategy" else (),
    )
