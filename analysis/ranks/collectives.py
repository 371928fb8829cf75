"""What one rank did in each steady-state step, and how long its collective kernels took.

See "Ranks and stragglers" in docs/definitions.md. Nothing here compares clocks: only lengths leave
a rank.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..idle.figures import SeriesSummary
from ..idle.per_step import periods_of
from ..model.arrays import Code
from ..model.communication import KNOWN, Communication
from ..model.intervals import Int64, covered_before, union
from ..model.names import operation_names
from ..report import TraceReport, positions


class RankSteps(Struct, frozen=True):
    """One step series on one device, as a rank among others. Shape (n,) is its interior steps, ns.

    compute + communication + sum of causes == period, for each step (checked by `periods_of`).
    """

    path: str
    pattern: str
    pid: int
    device: int
    """Ordinal."""
    number: Int64
    """Step numbers, shape (n,)."""
    period: Int64
    compute: Int64
    """Busy with anything but communication kernels."""
    communication: Int64
    """Busy with communication kernels alone."""
    causes: dict[str, Int64]
    """Idle time by cause."""
    step: Code
    """Index of each collective kernel's step, shape (m,); in order of start."""
    names: tuple[str, ...]
    name: Code
    """Index into `names`, shape (m,)."""
    sequence: Code
    """Its number in its process group, as PyTorch counts; -1 where not said. Shape (m,)."""
    start: Int64
    """Of the kernel, on the clock of its trace, ns, shape (m,)."""
    duration: Int64
    """Length of the kernel, ns, shape (m,)."""
    others: int
    """Communication kernels of these steps that are no such collectives."""
    own_edges: bool
    """One or two steps, between their own edges."""


def rank_steps(report: TraceReport, communication: Communication = KNOWN) -> tuple[RankSteps, ...]:
    """Every series and device that ran communication kernels in its steps, by device and process.

    Empty for a trace whose device figures cannot be believed.
    """
    found = []
    for summary in report.series:
        position, _ = positions(report, summary)
        if report.devices[position].communication_ns and report.level("device") != "invalid":
            one = _of_series(report, summary, communication)
            if one is not None:
                found.append(one)
    return tuple(sorted(found, key=lambda one: (one.device, one.pid)))


def _of_series(
    report: TraceReport, summary: SeriesSummary, communication: Communication
) -> RankSteps | None:
    position, index = positions(report, summary)
    trace, gaps = report.trace, report.gaps[position]
    split, series = report.attributions[position], report.steps.series[index]
    if summary.steady is None and summary.own_edges is None:
        return None
    periods = periods_of(trace, gaps, split, series)
    operations = trace.operations
    rows = np.arange(len(operations))[gaps.rows]
    codes, texts = operation_names(trace, rows)
    said = communication.which(texts)[codes]
    together = np.array([communication.is_collective(text) for text in texts], np.bool_)[codes]

    start = np.maximum(operations.start[rows], gaps.window_start)
    end = np.minimum(operations.end[rows], gaps.window_end)
    computing = union(start[~said], end[~said])
    compute = covered_before(computing, periods.steady.end)
    compute -= covered_before(computing, periods.steady.start)

    place = np.full(len(series) + 1, -1, np.int64)  # the last is for operations of no step
    place[periods.step] = np.arange(len(periods.step))
    step = place[series.step_of[rows]]
    chosen = np.flatnonzero(said & together & (step >= 0))
    used, name = np.unique(codes[chosen], return_inverse=True)
    return RankSteps(
        path=report.path,
        pattern=series.pattern,
        pid=summary.pid,
        device=gaps.device.ordinal,
        number=series.number[periods.step],
        period=periods.period,
        compute=compute,
        communication=periods.busy - compute,
        causes={c.name: row for c, row in zip(split.causes, periods.by_cause, strict=True)},
        step=step[chosen].astype(np.int32),
        names=tuple(texts[k] for k in used.tolist()),
        name=name.astype(np.int32),
        sequence=operations.sequence[rows[chosen]],
        start=operations.start[rows[chosen]],
        duration=(operations.end - operations.start)[rows[chosen]],
        others=int(np.count_nonzero(said & ~together & (step >= 0))),
        own_edges=periods.steady.own_edges,
    )
