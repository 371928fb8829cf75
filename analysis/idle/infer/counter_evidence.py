"""What speaks against repeats being steps: ranges of the trace, and work that comes in between."""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np

from ...model.arrays import factorize, groups
from ...model.intervals import Int64
from ...model.trace import Trace
from ..attribute import family
from .period import MIN_REPEATS, Loop, regular_spacing

_ONE_STEP = re.compile(
    r"(?i)(?<![a-z])(profiler|train|decode)?_?(step|iter|iteration|batch)[\W_]*\d+$"
)
"""A range that is one step by its name. `Steps 3:23` are many."""
_STEPWISE = re.compile(r"(?i)step|iter|batch|epoch|token|frame|request|execute|residual")
"""Words that are numbered as steps are."""
_LAST_NUMBER = re.compile(r"(\d{1,9})\D*$")
_MOST = 0.8
"""Share of the repeats for which something must hold."""
_OTHER_WORK = 16
"""Operations in between, at one spacing, that are more than a report of the loss."""


def against_steps(trace: Trace, thread: int, start: Int64, end: Int64) -> str | None:
    """Why these stretches of a thread's time, shape (repeats,), are no steps, by the ranges."""
    counted: list[str] = []
    for called, text, at, until, number in _numbered(trace, thread):
        if _ONE_STEP.search(text):
            held = _held(at, until, start)
            if len(held) and held.sum() >= _MOST * len(start) and np.median(held) >= 2:
                return (
                    f"a range '{called}' holds {int(np.median(held))} of the {len(start)} repeats: "
                    "they are parts of a step"
                )
        if _rises(at, number, start, end):
            counted.append(called)
    if counted and not any(_STEPWISE.search(called) for called in counted):
        return (
            f"the number of the ranges '{counted[0]}' goes up once a repeat, as that of layers "
            f"does; choose them with --step '{counted[0]}' if they are the steps"
        )
    return None


def _numbered(trace: Trace, thread: int) -> Iterator[tuple[str, str, Int64, Int64, Int64]]:
    """(family, one name, starts, ends, numbers) of the ranges of a thread's process by families
    whose names end in a number; sorted by start."""
    ranges = trace.ranges
    own = np.array([one.pid == trace.threads[thread].pid for one in trace.threads], np.bool_)
    rows = np.flatnonzero(own[ranges.thread])
    codes, ids = factorize(ranges.name[rows])
    texts = [trace.strings[name][-64:] for name in ids.tolist()]
    found = [_LAST_NUMBER.search(text) for text in texts]
    number = np.array([int(match.group(1)) if match else -1 for match in found], np.int64)
    place: dict[str, int] = {}
    kind = np.array([place.setdefault(family(text), len(place)) for text in texts], np.int64)
    named = np.flatnonzero(number[codes] >= 0) if len(codes) else codes
    called = list(place)
    for k, mine in groups(kind[codes[named]]):
        some = named[mine]
        some = some[np.argsort(ranges.start[rows[some]], kind="stable")]
        text = texts[int(codes[some[0]])]
        yield (
            called[k],
            text,
            ranges.start[rows[some]],
            ranges.end[rows[some]],
            number[codes[some]],
        )


def _held(start: Int64, end: Int64, repeats: Int64) -> Int64:
    """How many repeats begin in each range that any begins in."""
    held = np.searchsorted(repeats, end) - np.searchsorted(repeats, start)
    return held[held > 0]


def _rises(at: Int64, number: Int64, start: Int64, end: Int64) -> bool:
    """Whether one such range begins in each repeat, and its number goes up by one."""
    if len(start) < MIN_REPEATS:
        return False
    place = np.searchsorted(start, at, side="right") - 1
    inside = (place >= 0) & (at < end[np.maximum(place, 0)])
    place, number = place[inside], number[inside]
    once = np.bincount(place, minlength=len(start)) == 1
    if np.count_nonzero(once) < _MOST * len(start):
        return False
    return bool(np.mean(np.diff(number[once[place]]) == 1) >= _MOST)


def other_work_between(loop: Loop) -> str | None:
    """Why a loop may be the inner one of a longer step: work that comes back every few repeats."""
    gaps = np.diff(loop.marks)
    lengths, count = np.unique(gaps, return_counts=True)
    more = gaps - int(lengths[np.argmax(count)])
    often = regular_spacing(more >= _OTHER_WORK)
    if not often:
        return None
    return (
        f"every {often}. repeat of the {loop.period} operations is followed by "
        f"{int(np.median(more[more >= _OTHER_WORK]))} others: they may be turns of a loop inside a "
        "longer step, as in diffusion or over micro-batches"
    )
