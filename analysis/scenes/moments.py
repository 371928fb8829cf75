"""Which moments of a trace are worth a picture: one step, the median gap, the worst gap."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..idle.errors import NoSuchStep
from ..idle.figures import SeriesSummary
from ..idle.per_step import StepFigures, step_figures
from ..model.intervals import Int64
from ..report import TraceReport, positions
from .compose import scene_of
from .scene import Scene

AROUND = 0.5
"""How much is shown on each side of a gap: this share of the step's period, and at least the
gap's own length."""


class Moment(Struct, frozen=True):
    """A scene and why it was chosen."""

    kind: str
    """`step`, `median` or `worst`."""
    step: int | None
    """Number of the step that the gap belongs to."""
    gap: int
    """Index into the device's gaps, -1 where the step has none."""
    gap_ns: int
    inside: bool
    """The gap lies between two operations of its step, not before the first one."""
    scene: Scene


def figures_of(report: TraceReport, summary: SeriesSummary) -> StepFigures:
    """Per-step figures behind one summary."""
    device, series = positions(report, summary)
    return step_figures(
        report.trace,
        report.gaps[device],
        report.attributions[device],
        report.steps.series[series],
    )


def step_moment(report: TraceReport, summary: SeriesSummary, number: int) -> Moment:
    """One step: its range on the host, its work on the GPU, and the gap before it.

    Raises TraceError where the series has no such step.
    """
    at = np.flatnonzero(summary.table.number == number)
    if len(at) == 0:
        low, high = int(summary.table.number.min()), int(summary.table.number.max())
        raise NoSuchStep(
            f"{report.trace.path} has no step {number}", remedy=f"it has steps {low}..{high}"
        )
    device, series = positions(report, summary)
    index = int(at[0])
    table, gaps = summary.table, report.gaps[device]
    longest = int(figures_of(report, summary).longest[index])
    start, end = int(table.start[index]), int(table.start[index] + table.host[index])
    if table.operations[index]:
        start, end = min(start, int(table.gpu_start[index])), max(end, int(table.gpu_end[index]))
    if longest >= 0:
        start, end = min(start, int(gaps.start[longest])), max(end, int(gaps.end[longest]))
    margin = max((end - start) // 40, 1)
    scene = scene_of(
        report,
        device,
        start - margin,
        end + margin,
        focus=longest,
        zero=int(table.start[index]),
        title=f"Step {number}",
    )
    ns = int(gaps.length[longest]) if longest >= 0 else 0
    return Moment("step", number, longest, ns, _inside(report, device, series, longest), scene)


def telling_moments(report: TraceReport, summary: SeriesSummary) -> tuple[Moment, ...]:
    """Of the longest gap of each steady-state step, the median one and the worst one."""
    figures = figures_of(report, summary)
    device, series = positions(report, summary)
    length = report.gaps[device].length
    steps = np.flatnonzero(figures.steady & (figures.longest >= 0))
    if len(steps) == 0:
        return ()
    order = steps[np.argsort(length[figures.longest[steps]], kind="stable")]
    period = int(figures.period[figures.steady].mean())
    worst = int(steps[np.argmax(length[figures.longest[steps]])])
    median = int(order[(len(order) - 1) // 2])
    return tuple(
        _gap_moment(
            report,
            device,
            int(figures.longest[index]),
            kind,
            int(figures.number[index]),
            period,
            _inside(report, device, series, int(figures.longest[index])),
        )
        for kind, index in (("median", median), ("worst", worst))
    )


def device_moments(report: TraceReport, device: int) -> tuple[Moment, ...]:
    """Without steps: the longest gap, and the one below which half of the idle time lies."""
    gaps = report.gaps[device]
    inner = np.flatnonzero(~gaps.boundary)
    if len(inner) == 0:
        return ()
    order = inner[np.argsort(gaps.length[inner], kind="stable")]
    total = np.cumsum(gaps.length[order])
    median = int(order[int(np.searchsorted(total, total[-1] / 2))])
    around = 4 * _typical(gaps.length[order])
    return tuple(
        _gap_moment(report, device, gap, kind, None, around)
        for kind, gap in (("median", median), ("worst", int(order[-1])))
    )


def _inside(report: TraceReport, device: int, series: int, gap: int) -> bool:
    """Do both operations around the gap belong to one step?"""
    if gap < 0:
        return False
    gaps, step_of = report.gaps[device], report.steps.series[series].step_of
    return bool(step_of[gaps.before[gap]] == step_of[gaps.after[gap]])


def _typical(length: Int64) -> int:
    return int(np.quantile(length, 0.9))


def _gap_moment(
    report: TraceReport,
    device: int,
    gap: int,
    kind: str,
    step: int | None,
    period: int,
    inside: bool = False,
) -> Moment:
    gaps = report.gaps[device]
    start, end = int(gaps.start[gap]), int(gaps.end[gap])
    margin = max(end - start, int(period * AROUND), 1)
    where = f" · step {step}" if step is not None else ""
    scene = scene_of(
        report,
        device,
        start - margin,
        end + margin,
        focus=gap,
        zero=start,
        title=f"{kind} gap{where}",
    )
    return Moment(kind, step, gap, end - start, inside, scene)
