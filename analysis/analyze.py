"""One call from a trace to all its figures."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from .idle.attribute import Attribution, attribute
from .idle.details import DeviceDetails, device_details
from .idle.figures import (
    DeviceSummary,
    HostSeries,
    SeriesSummary,
    Steady,
    summarize_device,
    summarize_host,
    summarize_series,
)
from .idle.gaps import DeviceGaps, find_gaps, idle_everywhere
from .idle.steps import MAX_SERIES, Steps, StepSeries, find_steps
from .model.arrays import Bool
from .model.errors import TraceError
from .model.schema import MAX_TIME as NEVER
from .model.trace import Trace
from .question import Question
from .readers.open import open_trace
from .verdicts.judge import Level, Verdict, judge


@dataclass(frozen=True)
class TraceReport:
    """All figures of one trace."""

    trace: Trace
    path: str
    """The file as the user named it."""
    label: str
    devices: tuple[DeviceSummary, ...]
    """One for each entry of `gaps`."""
    all_window_ns: int
    all_idle_ns: int
    """Idle means that no device works."""
    series: tuple[SeriesSummary, ...]
    host: tuple[HostSeries, ...]
    verdicts: tuple[Verdict, ...]
    gaps: tuple[DeviceGaps, ...] = field(repr=False)
    attributions: tuple[Attribution, ...] = field(repr=False)
    steps: Steps = field(repr=False)
    kept: Mapping[str, tuple[Any, ...]] | None = field(default=None, repr=False)
    """None: the trace is whole. Else its arrays are empty, and this holds the rows of the views
    that need them, by name (see `reports.slim`)."""
    detailed: tuple[DeviceDetails, ...] | None = field(default=None, repr=False)
    """What was wanted of each device, where the report holds no rows to work it out from."""

    def details(self, device: int, question: Question = Question()) -> DeviceDetails:  # noqa: B008
        """What the question wants of the `device`-th entry of `gaps`."""
        if self.detailed is not None:
            found = self.detailed[device]
            return replace(found, top=found.top[: question.top])
        split = self.attributions[device]
        return device_details(self.trace, self.gaps[device], split, self.steps, question)

    @property
    def empty(self) -> bool:
        """Nothing that was asked for can be given: neither device, step nor host figures."""
        idle = self.gaps and self.level("device") is not Level.INVALID
        return not idle and not self.host

    def limiter(self, steady: Steady) -> str | None:
        """What bounds the period; None where it would go by calls that cannot be believed."""
        known = self.calls_believed or steady.limiter == "gpu"
        return steady.limiter if known else None

    @property
    def calls_believed(self) -> bool:
        """Whether what goes by the host's calls may be shown: causes, and `host_ns`."""
        return self.level("causes") is not Level.INVALID

    def level(self, figures: str) -> Level:
        """The worst verdict that touches these figures (`device`, `steps` or `causes`)."""
        levels = [v.level for v in self.verdicts if v.figures in (figures, "all")]
        return next((x for x in (Level.INVALID, Level.DEGRADED) if x in levels), Level.OK)


def analyze(
    source: Trace | str | os.PathLike[str], question: Question | None = None
) -> TraceReport:
    """Read a trace (unless given one) and account for its idle time.

    Raises TraceError where the file cannot be read, or has no such device or step.
    """
    question = question or Question()
    trace = source if isinstance(source, Trace) else open_trace(source)
    steps, said = _steps(trace, question)
    question, steps = _narrow(trace, steps, question)
    gaps = find_gaps(trace, question)
    if question.device is not None:
        known = sorted({g.device.ordinal for g in gaps})
        gaps = tuple(g for g in gaps if g.device.ordinal == question.device)
        if not gaps:
            raise no_such_device(trace.path, question.device, known)
    _check_pairs(trace, steps, gaps)
    attributions = tuple(attribute(trace, g) for g in gaps)
    series = tuple(
        found
        for one in steps.series
        for g, a in zip(gaps, attributions, strict=True)
        if (found := summarize_series(trace, g, a, one)) is not None
    )
    all_window, all_idle = idle_everywhere(gaps)
    return TraceReport(
        trace=trace,
        path=question.path or str(trace.path),
        label=question.label or trace.source.label,
        devices=tuple(
            summarize_device(trace, g, a) for g, a in zip(gaps, attributions, strict=True)
        ),
        all_window_ns=all_window,
        all_idle_ns=all_idle,
        series=series,
        host=tuple(summarize_host(one) for one in steps.series),
        verdicts=(*said, *judge(trace, gaps, attributions, steps, series)),
        gaps=gaps,
        attributions=attributions,
        steps=steps,
    )


def _check_pairs(trace: Trace, steps: Steps, gaps: tuple[DeviceGaps, ...]) -> None:
    """Raises TraceError where steps of many threads ran on many of these devices each."""
    device, looked_at = trace.operations.device, [g.device.index for g in gaps]
    pairs = sum(
        int(np.isin(np.unique(device[one.step_of >= 0]), looked_at).sum()) for one in steps.series
    )
    check_pairs(trace, len(steps.series), pairs)


def check_pairs(trace: Trace, series: int, pairs: int) -> None:
    """Raises TraceError where there are too many pairs of a thread with steps and a device."""
    if pairs > MAX_SERIES:
        raise TraceError(
            f"{trace.path}: {series} threads with steps on {len(trace.devices)} GPUs "
            f"are {pairs} pairs, more than the {MAX_SERIES} that can be told apart",
            remedy="choose ranges of fewer threads with --step, or one GPU with --device",
        )


def _steps(trace: Trace, question: Question) -> tuple[Steps, tuple[Verdict, ...]]:
    """The steps, and for inferred ones a verdict that says how sure they are."""
    if not question.infer:
        return find_steps(trace, question.patterns), ()
    from .idle.infer.infer import infer_steps

    found = infer_steps(trace, question.device)
    reason = f"{found.explanation} Confidence {found.confidence:.0%}"
    reason += f", of the boundaries {found.boundary_confidence:.0%}"
    remedy = "mark the steps with NVTX ranges for exact ones"
    return found.steps, (Verdict("steps", Level.DEGRADED, "inferred-steps", reason, remedy),)


def _narrow(trace: Trace, steps: Steps, question: Question) -> tuple[Question, Steps]:
    """The question with the window that the steps asked for have, and the steps in it."""
    asked = question
    if asked.steps != (None, None):
        parts = (one.only(numbered(one, *asked.steps)) for one in steps.series)
        kept = tuple(part for part in parts if len(part))
        if not kept:
            raise no_such_steps(trace.path, steps.series, asked.steps)
        steps = replace(steps, series=kept)
        start, end = _gpu_extent(trace, kept, asked.device) or host_extent(kept)
        question = replace(
            asked,
            start=start if asked.start is None else asked.start,
            end=end if asked.end is None else asked.end,
        )
    if asked.start is not None or asked.end is not None:
        seen = (_in_window(trace, one, question) for one in steps.series)
        steps = replace(steps, series=tuple(one for one in seen if len(one)))
    return question, steps


def no_such_device(path: Path, wanted: int, known: list[int]) -> TraceError:
    """A device was asked for that does nothing here."""
    there = ", ".join(map(str, known)) or "none"
    return TraceError(f"{path} has no work on device {wanted} (has: {there})")


def no_such_steps(
    path: Path, series: tuple[StepSeries, ...], wanted: tuple[int | None, int | None]
) -> TraceError:
    """Steps were asked for by numbers that none has."""
    first, stop = ("" if number is None else str(number) for number in wanted)
    have = [f"{one.number.min()}..{one.number.max()}" for one in series]
    return TraceError(
        f"{path} has no step in {first}:{stop}"
        + (f" (it has {', '.join(have)})" if have else " (it has no steps at all)")
    )


def numbered(one: StepSeries, first: int | None, stop: int | None) -> Bool:
    """Mask of the steps numbered from `first` up to, not with, `stop`."""
    wanted = np.ones(len(one), np.bool_)
    if first is not None:
        wanted &= one.number >= first
    if stop is not None:
        wanted &= one.number < stop
    return wanted


def host_extent(series: Sequence[StepSeries]) -> tuple[int, int]:
    """Where steps that have no work on the GPUs looked at begin and end, ns: on the host."""
    start = min(int(one.start.min()) for one in series)
    return start, max(start + 1, *(int(one.end.max()) for one in series))


def _in_window(trace: Trace, one: StepSeries, question: Question) -> StepSeries:
    """The steps with an operation in the window; those without any, by their time on the host."""
    lo = -NEVER if question.start is None else question.start
    hi = NEVER if question.end is None else question.end
    rows = np.flatnonzero(one.step_of >= 0)
    owner, operations = one.step_of[rows], trace.operations
    inside = (operations.end[rows] > lo) & (operations.start[rows] < hi)
    alive = np.zeros(len(one), np.bool_)
    alive[owner] = True
    wanted = ~alive & (one.end > lo) & (one.start < hi)
    wanted[owner[inside]] = True
    return one.only(wanted)


def _gpu_extent(
    trace: Trace, series: tuple[StepSeries, ...], device: int | None
) -> tuple[int, int] | None:
    """Where the work of these steps begins and ends, ns; None where they have none.

    It begins where the device fell quiet before the first operation, so that its gap is in; of
    several devices the first that fell quiet counts.
    """
    operations = trace.operations
    lows: list[int] = []
    highs: list[int] = []
    for gpu in trace.devices:
        if device is not None and gpu.ordinal != device:
            continue
        on_device = operations.device == gpu.index
        for one in series:
            rows = np.flatnonzero(on_device & (one.step_of >= 0))
            if len(rows) == 0:
                continue
            opening = int(operations.start[rows[0]])
            earlier = operations.end[: rows[0]][on_device[: rows[0]]]
            lows.append(min(int(earlier.max(initial=-NEVER)), opening) if len(earlier) else opening)
            highs.append(int(operations.end[rows].max()))
    return (min(lows), max(highs)) if lows else None
