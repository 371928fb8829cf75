"""Where inside each gap each cause's time lies: the chronology behind `Attribution.time`."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ..idle.attribute import Attribution
from ..idle.causes import Cause, Phase
from ..idle.gaps import DeviceGaps
from ..idle.held import of_each_process
from ..idle.taken import apart
from ..model.arrays import Bool
from ..model.intervals import Int64, Intervals, complement, pieces, without
from ..model.trace import Trace


class States(Struct, frozen=True):
    """Stretches of idle time, each with one cause, sorted by start. Arrays have shape (n,), ns."""

    gap: Int64
    """Index into the device's gaps."""
    start: Int64
    end: Int64
    cause: NDArray[np.int8]
    """Index into `Attribution.causes`."""

    def __len__(self) -> int:
        return len(self.start)


def gap_states(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, chosen: Int64 | None = None
) -> States:
    """Cut gaps into stretches of one cause each, in the order of time.

    `chosen`: ascending indexes of the gaps wanted, all by default. Promise, checked: the stretches
    tile each gap, and per gap and cause they sum to `Attribution.time`.
    """
    rows = np.arange(len(gaps)) if chosen is None else chosen
    spent = attribution.time[:, rows]
    start, end = gaps.start[rows], gaps.end[rows]
    launch = attribution.launch[rows]
    known = launch >= 0
    # Where no call launched the operation: what moves by itself is waited for all the same.
    apart = ~known & (spent[[c.phase is Phase.NONE for c in attribution.causes]] > 0).any(axis=0)
    begin = np.where(known, attribution.launch_start[rows], start)
    finish = begin.copy()
    if known.any():
        finish[known] = np.clip(trace.calls.end[launch[known]], begin[known], end[known])

    parts = [
        _before(trace, attribution, spent, known, start, begin, launch),
        _whole(attribution.causes, spent, Phase.LAUNCH, known, begin, finish),
        *_after(trace, attribution.causes, spent, ~apart, gaps.after[rows], finish, end),
        _whole(attribution.causes, spent, Phase.NONE, apart, start, end),
    ]
    gap, first, last, cause = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(first, kind="stable")
    states = States(rows[gap[order]], first[order], last[order], cause[order].astype(np.int8))
    _check(states, attribution, rows)
    return states


_Part = tuple[Int64, Int64, Int64, Int64]
"""Position among the chosen gaps, start, end, cause; each of shape (n,)."""


def _winner(causes: tuple[Cause, ...], spent: Int64, phase: Phase) -> Int64:
    """For each gap, which cause took what was left of a phase (whole gaps); shape (m,)."""
    of_phase = [
        k
        for k, cause in enumerate(causes)
        if cause.phase is phase and cause.rows is None and cause.holds is None
    ]
    best = np.argmax(spent[of_phase], axis=0)
    winner: Int64 = np.array(of_phase, np.int64)[best]
    return winner


def _whole(
    causes: tuple[Cause, ...], spent: Int64, phase: Phase, mask: Bool, start: Int64, end: Int64
) -> _Part:
    rows = np.flatnonzero(mask & (end > start))
    cause = _winner(causes, spent, phase)[rows]
    return rows, start[rows], end[rows], cause


def _after(
    trace: Trace,
    causes: tuple[Cause, ...],
    spent: Int64,
    mask: Bool,
    after: Int64,
    start: Int64,
    end: Int64,
) -> list[_Part]:
    """After the launch: what covers it by intervals on the device, then who takes the rest."""
    by_holds = [k for k, cause in enumerate(causes) if cause.holds is not None]
    held = mask & (spent[by_holds] > 0).any(axis=0)
    parts = [_whole(causes, spent, Phase.AFTER, mask & ~held, start, end)]
    rest = _winner(causes, spent, Phase.AFTER)
    rows = np.flatnonzero(held)
    for device, process, mine in of_each_process(trace, after[rows]):
        gap = rows[mine]
        waits = Intervals(start[gap], end[gap])
        free = Intervals(waits.start[:1], waits.end[-1:])
        times = apart(trace, device, process, after[gap], waits.start, waits.end)
        for k in by_holds:
            taken = times[causes[k].name]
            first, last, of_wait, _ = pieces(waits, taken)
            parts.append((gap[of_wait], first, last, np.full(len(first), k)))
            free = without(free, taken)
        first, last, of_wait, _ = pieces(waits, free)
        parts.append((gap[of_wait], first, last, rest[gap[of_wait]]))
    return parts


def _before(
    trace: Trace,
    attribution: Attribution,
    spent: Int64,
    known: Bool,
    start: Int64,
    begin: Int64,
    launch: Int64,
) -> _Part:
    """Before the launch: what the launching thread's rows say, then who takes the rest."""
    waiting = np.flatnonzero(known & (begin > start))
    if len(waiting) == 0:
        none = np.empty(0, np.int64)
        return none, none, none, none
    causes = attribution.causes
    rest = _winner(causes, spent, Phase.BEFORE)
    by_rows = [k for k, cause in enumerate(causes) if cause.rows is not None]
    found: list[_Part] = []
    thread = trace.calls.thread[launch[waiting]]
    for index in np.unique(thread).tolist():
        mine = waiting[thread == index]
        timeline = attribution.timelines[index]
        waits = Intervals(start[mine], begin[mine])
        labelled = Intervals(timeline.start, timeline.end)
        first, last, of_wait, which = pieces(waits, labelled)
        found.append((mine[of_wait], first, last, np.array(by_rows)[timeline.label[which]]))
        low, high = int(waits.start[0]), int(waits.end[-1])
        first, last, of_wait, _ = pieces(waits, complement(labelled, low, high))
        found.append((mine[of_wait], first, last, rest[mine[of_wait]]))
    gap, first, last, cause = (np.concatenate(column) for column in zip(*found, strict=True))
    return gap, first, last, cause.astype(np.int64)


def _check(states: States, attribution: Attribution, rows: Int64) -> None:
    shape = attribution.time.shape
    sums = np.bincount(
        states.cause.astype(np.int64) * shape[1] + states.gap,
        weights=states.end - states.start,
        minlength=shape[0] * shape[1],
    ).reshape(shape)
    assert np.array_equal(sums[:, rows], attribution.time[:, rows])
