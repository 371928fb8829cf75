"""Whose step each operation is: by the thread that launched it, else by time and GPU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool, Code
from ..model.cuda_calls import migrations
from ..model.intervals import Int64
from ..model.trace import Trace
from ..question import DEFAULT_STEP, StepPattern
from .loops import find_loops
from .steps import Steps, StepSeries, homes_of


class Owned(Struct, frozen=True, eq=False):
    """Whose step each operation of a part of a trace is. One entry a series of the trace."""

    step_of: tuple[Code, ...]
    """Shape (operations,): the step, -1 for none."""
    by_time: tuple[int, ...]
    other_threads: tuple[dict[int, int], ...]
    unassigned: int
    ambiguous: int
    """These four as in `StepSeries` and `Steps`."""


def find_steps(trace: Trace, patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,)) -> Steps:
    """Every range of a trace in memory that matches, as series, each with its GPU operations."""
    homes = homes_of(trace)
    series = find_loops(
        trace.path, trace.ranges, trace.strings, trace.threads, trace.processes, patterns, homes
    )
    owned = assign(trace, series, homes)
    each = zip(series, owned.step_of, owned.by_time, owned.other_threads, strict=True)
    return Steps(
        tuple(
            replace(one, step_of=step_of, by_time=by_time, other_threads=others)
            for one, step_of, by_time, others in each
        ),
        owned.unassigned,
        owned.ambiguous,
    )


def assign(trace: Trace, series: Sequence[StepSeries], homes: dict[int, int]) -> Owned:
    """Of the operations of a trace or a part of it, the steps among all of `series`.

    An operation belongs to the step whose range was open on the launching thread when its launch
    call began. What other threads launched (autograd), and start/end ranges that cross threads,
    go by time, where exactly one step of the process was open; of several threads with steps,
    those count that launch on the operation's device (`homes`, see `steps.Homes`).
    """
    n = len(trace.operations)
    step_of = [np.full(n, -1, np.int32) for _ in series]
    by_time, others = [0] * len(series), [dict[int, int]() for _ in series]
    taken, doubtful = np.zeros(n, np.bool_), np.zeros(n, np.bool_)
    launched = trace.operations.launch >= 0
    # Pages that move because somebody touched them were launched by nobody: they go by time.
    moved = migrations(trace.operations)
    assigned = launched | moved
    for asked in sorted({one.asked for one in series}) if assigned.any() else ():
        mine = [k for k, one in enumerate(series) if one.asked == asked]
        steps = _Open.of(trace, [series[k] for k in mine], moved)
        housed = {
            (series[k].process, homes[thread])
            for k in mine
            for thread in series[k].threads
            if thread in homes
        }
        owner, late, ambiguous = _owners(trace, steps, homes, housed, assigned)
        taken |= owner >= 0
        doubtful |= ambiguous
        place = np.append(steps.series, -1)[owner]
        for at, k in enumerate(mine):
            inside = place == at
            step_of[k][inside] = steps.step[owner[inside]]
            timed = inside & late
            by_time[k] = int(np.count_nonzero(timed))
            thread = trace.calls.thread[trace.operations.launch[timed & launched]]
            found, count = np.unique(thread, return_counts=True)
            own = series[k].threads
            pairs = zip(found.tolist(), count.tolist(), strict=True)
            others[k] = {t: c for t, c in pairs if t not in own}
    return Owned(
        tuple(step_of),
        tuple(by_time),
        tuple(others),
        int(np.count_nonzero(~taken & ~doubtful)),
        int(np.count_nonzero(doubtful & ~taken)),
    )


class _Open(Struct, frozen=True, eq=False):
    """Steps that may have launched these operations. Arrays have shape (n,)."""

    start: Int64
    end: Int64
    thread: Code
    own: Bool
    process: Int64
    series: Int64
    step: Int64
    """Index in its series."""

    @classmethod
    def of(cls, trace: Trace, series: Sequence[StepSeries], moved: Bool) -> _Open:
        launch = trace.operations.launch
        at = np.concatenate((trace.calls.start[launch[launch >= 0]], trace.operations.start[moved]))
        first, last = int(at.min()), int(at.max())
        near = [np.flatnonzero((one.start <= last) & (one.end > first)) for one in series]
        pairs = list(zip(series, near, strict=True))
        length = [len(rows) for rows in near]
        return cls(
            np.concatenate([one.start[rows] for one, rows in pairs]),
            np.concatenate([one.end[rows] for one, rows in pairs]),
            np.concatenate([one.thread_of[rows] for one, rows in pairs]),
            np.concatenate([one.own[rows] for one, rows in pairs]),
            np.repeat([one.process for one in series], length),
            np.repeat(np.arange(len(series)), length),
            np.concatenate(near),
        )


def _owners(
    trace: Trace,
    steps: _Open,
    homes: dict[int, int],
    housed: set[tuple[int, int]],
    assigned: Bool,
) -> tuple[Code, Bool, Bool]:
    """Owner of each operation as a position in `steps` (-1 none), by time or not, ambiguous.

    `housed`: processes and devices that are some thread's with steps, in the whole trace;
    `assigned`: operations that may have an owner.
    """
    operations, calls = trace.operations, trace.calls
    launched = operations.launch >= 0
    step_of_call = np.full(len(calls), -1, np.int32)
    several = np.zeros(len(calls), np.bool_)
    for thread in np.unique(steps.thread).tolist():
        # Calls are sorted by (thread, start): those of one thread stand together.
        lo, hi = np.searchsorted(calls.thread, [thread, thread + 1])
        mine = np.flatnonzero((steps.thread == thread) & steps.own)
        found, crowded = _open_at_calls(calls.start[lo:hi], steps.start[mine], steps.end[mine])
        if len(mine):
            found = np.where(found >= 0, mine[found], -1)
        step_of_call[lo:hi] = found
        several[lo:hi] = crowded
    owner = np.full(len(operations), -1, np.int32)
    owner[launched] = step_of_call[operations.launch[launched]]
    ambiguous, by_time = np.zeros((2, len(operations)), np.bool_)
    ambiguous[launched] = several[operations.launch[launched]]
    rest = np.flatnonzero(assigned & (owner < 0) & ~ambiguous)
    home = np.array([homes.get(thread, -1) for thread in steps.thread.tolist()], np.int64)
    for late, chosen in _candidates(trace, steps, home, housed, rest):
        instants = operations.start[late]
        called = launched[late]
        instants[called] = calls.start[operations.launch[late[called]]]
        found, crowded = _open_at(instants, steps.start[chosen], steps.end[chosen])
        owner[late] = np.where(found >= 0, chosen[found], -1)
        by_time[late] = found >= 0
        ambiguous[late] = crowded
    return owner, by_time, ambiguous


def _candidates(
    trace: Trace, steps: _Open, home: Int64, housed: set[tuple[int, int]], rest: Int64
) -> list[tuple[Int64, Int64]]:
    """(operations, positions of the steps that may own them), by process and device."""
    operations = trace.operations
    process, device = operations.process[rest], operations.device[rest]
    found = []
    for own in np.unique(steps.process).tolist() if len(rest) else ():
        theirs = np.flatnonzero(steps.process == own)
        for gpu in np.unique(device[process == own]).tolist():
            late = rest[(process == own) & (device == gpu)]
            near = theirs[(home[theirs] == gpu) | (home[theirs] < 0)]
            found.append((late, near if (own, gpu) in housed else theirs))
    return [(late, chosen) for late, chosen in found if len(chosen)]


def _open_at_calls(calls: Int64, start: Int64, end: Int64) -> tuple[Int64, Bool]:
    """The one interval open at each of the sorted instants, -1 where none or several.

    Asks each interval where its edges fall among the calls, since steps are fewer than calls.
    """
    n = len(calls)
    if len(start) == 0 or n == 0:
        return np.full(n, -1, np.int64), np.zeros(n, np.bool_)
    lo, hi = np.searchsorted(calls, start), np.searchsorted(calls, end)
    if (start[1:] >= end[:-1]).all():
        edges = np.empty(2 * len(start) + 1, np.int64)
        edges[0:-1:2], edges[1::2], edges[-1] = lo, hi, n
        ids = np.full(2 * len(start) + 1, -1, np.int32)
        ids[1::2] = np.arange(len(start))
        return np.repeat(ids, np.diff(edges, prepend=0)), np.zeros(n, np.bool_)
    return _open_at(calls, start, end)


def _open_at(instants: Int64, start: Int64, end: Int64) -> tuple[Int64, Bool]:
    """The one interval open at each instant, -1 where none or several; and where several."""
    by_start, by_end = np.argsort(start, kind="stable"), np.argsort(end, kind="stable")
    opened = np.searchsorted(start[by_start], instants, side="right")
    closed = np.searchsorted(end[by_end], instants, side="right")
    # Where one is open, the ids opened less the ids closed leave just its own.
    ids_opened = np.concatenate(([0], np.cumsum(by_start)))
    ids_closed = np.concatenate(([0], np.cumsum(by_end)))
    count = opened - closed
    return np.where(count == 1, ids_opened[opened] - ids_closed[closed], -1), count > 1
