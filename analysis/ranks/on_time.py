"""What a job would win if its late rank were on time: another rank's steps, replayed without what
they waited for it alone.

A rank's own trace says how long its collectives took, and all ranks' together how long they waited:
so this is asked once all traces are known, of the rank that waits least. Lengths alone go from rank
to rank, as everywhere here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from msgspec.structs import replace

from ..gains.changes.late_rank import CHANGE
from ..gains.ladder import Rung, worth_showing
from ..gains.of_series import SeriesGains
from ..question import AskedChange, Question
from ..report import TraceReport
from .collectives import RankSteps
from .stragglers import JobRanks, OnTime, Spared


def question_of(spared: Spared, question: Question) -> Question:
    """What to ask of the trace of the spared rank, of which `question` was asked."""
    pairs = np.stack((spared.start, spared.duration), axis=1).astype(np.int64)
    asked = AskedChange(CHANGE.name, f"rank {spared.late}", shorter=pairs.tobytes())
    return replace(question, device=spared.rank.member.figures.device, changes=(asked,))


def told_to_all(
    job: JobRanks, again: TraceReport, traces: Sequence[TraceReport]
) -> tuple[TraceReport, ...]:
    """The reports, that gain among those of every rank but the late one: all ranks have one step.
    `again`: what was said of the trace of the spared rank when it was asked."""
    late, spared = job.straggler, job.spared
    found = _gains(again, spared.rank.member.figures) if spared else None
    if found is None or found.ladder is None:
        return tuple(traces)
    (rung,) = found.ladder.asked
    if not worth_showing(rung.gain_ns, found.ladder.error_ns, found.ladder.replayed_ns):
        return tuple(traces)
    waiting = [one.member.figures for one in job.ranks if one is not late]
    return tuple(_with(trace, rung, waiting) for trace in traces)


def _with(trace: TraceReport, rung: Rung, waiting: Iterable[RankSteps]) -> TraceReport:
    for rank in waiting:
        gains = _gains(trace, rank)
        if gains is None or gains.ladder is None:
            continue
        ladder = gains.ladder
        if not worth_showing(rung.gain_ns, ladder.error_ns, ladder.replayed_ns):
            continue
        own = replace(rung, step_ns=ladder.replayed_ns - rung.gain_ns)
        rungs = tuple(sorted((*ladder.rungs, own), key=lambda one: -one.gain_ns))
        told = replace(gains, ladder=replace(ladder, rungs=rungs))
        trace = replace(trace, gains=tuple(told if one is gains else one for one in trace.gains))
    return trace


def _gains(report: TraceReport, rank: RankSteps) -> SeriesGains | None:
    """Those of the series that the rank is, if the report is of its trace."""
    for one in report.gains if report.path == rank.path else ():
        series = report.series[one.series]
        device = report.trace.devices[series.device].ordinal
        if (series.pattern, series.pid, device) == (rank.pattern, rank.pid, rank.device):
            return one
    return None


def with_gains(jobs: Sequence[JobRanks], traces: Sequence[TraceReport]) -> tuple[JobRanks, ...]:
    """The jobs, each with the gain that its spared rank's report tells."""
    return tuple(replace(job, on_time=_told(job, traces)) for job in jobs)


def _told(job: JobRanks, traces: Sequence[TraceReport]) -> OnTime | None:
    if job.spared is None:
        return None
    rank = job.spared.rank
    for trace in traces:
        gains = _gains(trace, rank.member.figures)
        ladder = gains.ladder if gains else None
        for rung in ladder.rungs if ladder else ():
            if ladder and rung.change == CHANGE.name:
                return OnTime(rank.rank, ladder.replayed_ns, rung.gain_ns, ladder.error_ns)
    return None
