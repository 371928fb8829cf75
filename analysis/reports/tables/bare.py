"""The table of what was taken out as the recorder's, and of the proof that it is right."""

from __future__ import annotations

import math

from ...bare.result import Bare
from ..base import Column, Report, Table, Value
from .place import OF_TRACE, name_of


def bare(report: Report) -> Table:
    """One row for each trace whose figures are without its recorder."""
    rows: list[tuple[Value, ...]] = []
    for trace in report.by_label:
        if trace.bare is not None:
            rows.append((name_of(trace), trace.path, *_figures(trace.bare)))
    return Table(
        "bare",
        "Without the recorder: its step by this trace, and by blocks of steps beside it",
        (
            *OF_TRACE,
            Column("recorder", "recorder"),
            Column("recorded_step_ns", "recorded µs", "us"),
            Column("bare_step_ns", "without µs", "us"),
            Column("measured_step_ns", "measured µs", "us"),
            Column("measured_step_low_ns", "from µs", "us"),
            Column("measured_step_high_ns", "to µs", "us"),
            Column("recorder_added_share", "recorder adds", "percent"),
            Column("recorder_launch_ns", "per launch µs", "us"),
            Column("error_share", "missed by", "percent"),
            Column("error_low_share", "from", "percent"),
            Column("error_high_share", "to", "percent"),
            Column("bare_blocks", "blocks", "int"),
            Column("bare_steps", "steps", "int"),
            Column("made_bare", "made bare"),
            Column("cost_factor", "cost x", "ratio"),
        ),
        tuple(rows),
    )


def _figures(found: Bare) -> tuple[Value, ...]:
    low, high = found.measured_interval_ns
    return (
        found.recorder,
        found.recorded_ns,
        found.step_ns,
        found.measured_ns,
        low,
        high,
        found.ratio.estimate - 1,
        found.launch_ns,
        found.error,
        _finite(found.error_low),
        _finite(found.error_high),
        found.blocks,
        found.steps,
        found.made_bare,
        found.factor,
    )


def _finite(share: float) -> float | None:
    return share if math.isfinite(share) else None
