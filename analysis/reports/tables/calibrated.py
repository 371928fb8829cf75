"""The table of what separate runs without the profiler took, where a recording was calibrated."""

from __future__ import annotations

from ...idle.figures import Steady
from ...verdicts.calibration import read_calibration
from ...verdicts.judge import Level
from ..base import Column, Report, Table, Value
from .notes import listed
from .place import OF_TRACE, file_name, name_of


def calibration(report: Report) -> Table:
    """Step and idle time as recorded and in separate runs without the profiler; one row a series,
    or a trace. Of a bare timeline it says nothing: processes differ for other reasons too."""
    rows: list[tuple[Value, ...]] = []
    doubted: dict[str, list[str]] = {}
    for trace in report.by_label:
        found = read_calibration(trace.trace.source.manifest)
        if found is None or trace.bare is not None:
            continue
        if found.doubt:
            doubted.setdefault(found.doubt, []).append(file_name(trace))
        usable = trace.level("device") is not Level.INVALID
        steadies: list[Steady | None] = [s.steady for s in trace.series if s.steady and usable]
        for steady in steadies or [None]:
            idle = None if steady is None else found.idle_ns(steady)
            interval = found.idle_interval_ns(steady) if steady is not None else None
            rows.append(
                (
                    name_of(trace),
                    trace.path,
                    found.profiled_ns,
                    found.unprofiled_ns,
                    found.added,
                    None if steady is None else steady.idle_ns,
                    idle,
                    None if idle is None else idle / found.unprofiled_ns,
                    *(interval or (None, None)),
                )
            )
    return Table(
        "calibration",
        "As recorded: what the profiler added by separate runs, and idle without it",
        (
            *OF_TRACE,
            Column("profiled_step_ns", "step profiled µs", "us"),
            Column("unprofiled_step_ns", "step without µs", "us"),
            Column("profiler_added_share", "profiler adds", "percent"),
            Column("recorded_idle_ns", "idle profiled µs", "us"),
            Column("corrected_idle_ns", "idle without µs", "us"),
            Column("corrected_idle_share", "idle without", "percent"),
            Column("corrected_idle_low_ns", "from µs", "us"),
            Column("corrected_idle_high_ns", "to µs", "us"),
        ),
        tuple(rows),
        tuple(
            f"What the profiler added is not certain for {listed(names)}: {why}."
            for why, names in doubted.items()
        ),
    )
