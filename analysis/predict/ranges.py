"""The ranges that a replay opens and closes, and the patterns that find its steps among them."""

from __future__ import annotations

import re

import numpy as np
from msgspec import Struct

from ..idle.steps import StepSeries
from ..model.schema import MAX_TIME, NULL
from ..model.trace import Trace
from ..question import DEFAULT_STEP, StepPattern


class Range(Struct, frozen=True):
    """Open on the host in [start, end), ns."""

    start: int
    end: int
    name: str


def host_ranges(trace: Trace, series: StepSeries, begin: int, end: int) -> list[Range]:
    """The ranges of the steps' thread inside [begin, end), ns, outer ones first: those that nest.

    Steps that are no ranges of one thread (found by repetition, or opened on one thread and closed
    on another) stand alone, each until the next one begins.
    """
    ranges = trace.ranges
    inside = (
        (ranges.thread == series.thread_index)
        & (ranges.end_thread == ranges.thread)
        & (ranges.start >= begin)
        & (ranges.end <= end)
        & (ranges.end > ranges.start)
    )
    if not np.isin(series.start, ranges.start[inside]).all():
        return _alone(trace, series)
    found: list[Range] = []
    open_ends: list[int] = []
    for index in np.flatnonzero(inside).tolist():
        first, last = int(ranges.start[index]), int(ranges.end[index])
        while open_ends and open_ends[-1] <= first:
            open_ends.pop()
        if open_ends and last > open_ends[-1]:
            continue
        open_ends.append(last)
        found.append(Range(first, last, trace.strings[int(ranges.name[index])]))
    return found


def _alone(trace: Trace, series: StepSeries) -> list[Range]:
    ends = np.minimum(series.end, np.append(series.start[1:], MAX_TIME))
    names = [
        f"Step {number}" if name == NULL else trace.strings[name]
        for number, name in zip(series.number.tolist(), series.name.tolist(), strict=True)
    ]
    edges = zip(series.start.tolist(), ends.tolist(), names, strict=True)
    return [Range(*one) for one in edges]


def patterns_of(
    trace: Trace, series: StepSeries, asked: tuple[StepPattern, ...]
) -> tuple[StepPattern, ...]:
    """Patterns that find the steps of the series among its ranges: the one asked for that found
    them, or their own names, numbers apart."""
    del asked  # the series knows which of them it was, or what was chosen where none was asked for
    if series.by is not None or bool((series.name == NULL).all()):
        return (series.by or DEFAULT_STEP,)
    names = {trace.strings[one] for one in series.name.tolist()}
    families = sorted({re.sub(r"\d+", r"\\d+", re.escape(name)) for name in names})
    return (StepPattern.of_regex(rf"^(?:{'|'.join(families)})$"),)
