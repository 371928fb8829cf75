"""Stretches of a recorded loop that are replayed: a few steady steps, cut out of the trace.

A long loop is not replayed whole: steps are taken in runs that are spread evenly over the steady
state, and each run has one step more before it, in which the replay comes into its stride.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..idle.launched import Launched
from ..idle.steps import StepSeries
from ..model.arrays import Bool, sought
from ..model.cuda_calls import Waits, know_waits
from ..model.intervals import Int64
from ..model.trace import Operations, Overheads, Ranges, Synchronizations, Trace
from ..store.layout import GOES_ON, GROUPS, SYNCHRONIZING
from ..store.opened import Store
from ..store.whole import Whole

MOST_STEPS = 40
MOST_CALLS = 200_000
"""What is replayed at most of one loop, all its stretches together."""
FEW_CALLS, PART = 20_000, 4
"""So many calls are replayed in any case; of more, one part in so many."""
WAIT = 20
"""To replay a wait of the host or of a stream takes as long as to replay so many calls."""
RUNS = 4
"""Stretches that the steps of a long loop are spread over."""
_AROUND = 4096
"""Operations looked at that may still run when a stretch begins, or that were launched in it and
run when the device has done all else that its steps launched."""
_BARELY_NS = 10_000
"""A stream that fell quiet less long before a stretch may not be ready for new work at once."""
_LEAST = 3
"""Steady steps below which nothing is replayed."""


class Stretch(Struct, frozen=True):
    """Steps `[first, stop)` of a series and the one before them, as a trace of their own."""

    trace: Trace
    """The calls of the threads that launch, what these launched, and all their ranges."""
    threads: tuple[int, ...]
    main: int
    """The thread that runs the steps."""
    begin: int
    """Where the step before the first one begins on the host, ns."""
    end: int
    step_start: Int64
    """Host times at which these steps begin, the one before them included; shape (steps + 1,)."""
    first: int
    stop: int
    running: tuple[tuple[int, int, int], ...]
    """(device, stream, until when, ns) of work that was queued before the stretch begins, and runs
    then or ran just before."""
    without_call: int
    """Operations that begin in it and that no known call launched."""


def chosen_runs(
    steady: Int64, calls_a_step: float, waits_a_step: float = 0.0
) -> list[tuple[int, int]]:
    """Which of the steady steps (positions in the series, ascending) are replayed: runs `[a, b)`.

    All of them where they are few; else `RUNS` runs of neighbours, evenly spread.
    """
    steady = steady[steady > 0]
    # To replay a call takes a few times as long as to analyse it: of many calls, some.
    calls = min(MOST_CALLS, max(FEW_CALLS, calls_a_step * len(steady) / PART))
    most = min(MOST_STEPS, int(calls / max(calls_a_step + WAIT * waits_a_step, 1.0)))
    if calls_a_step * _LEAST <= MOST_CALLS:
        most = max(most, _LEAST)
    if most < _LEAST or len(steady) < _LEAST:
        return []
    whole = _neighbours(steady)
    if len(steady) <= most:
        return whole
    length = max(_LEAST, most // RUNS)
    found: list[tuple[int, int]] = []
    for place in np.linspace(0, len(steady) - length, max(1, most // length)).round().astype(int):
        wanted = _neighbours(steady[place : place + length])
        a, b = max(wanted, key=lambda run: run[1] - run[0])
        if not found or a >= found[-1][1] + 1:
            found.append((a, b))
    return found


def _neighbours(steps: Int64) -> list[tuple[int, int]]:
    breaks = np.flatnonzero(np.diff(steps) != 1) + 1
    runs = np.split(steps, breaks)
    return [(int(run[0]), int(run[-1]) + 1) for run in runs if len(run)]


def stretches(
    tables: Whole | Store, series: StepSeries, launched: Launched, runs: list[tuple[int, int]]
) -> Iterator[Stretch]:
    """Each run of steps as a trace. `launched`: what the series launched on the device."""
    threads = threads_of(series, launched)
    for first, stop in runs:
        yield _stretch(tables, series, launched, threads, first, stop)
        tables.forget()


def threads_of(series: StepSeries, launched: Launched) -> tuple[int, ...]:
    """The threads that launch the work of the steps, and those that run them: they wait for it."""
    return tuple(sorted({*launched.threads, *series.threads}))


def _stretch(
    tables: Whole | Store,
    series: StepSeries,
    launched: Launched,
    threads: tuple[int, ...],
    first: int,
    stop: int,
) -> Stretch:
    begin = int(series.start[first - 1])
    last = int(series.end[stop - 1])
    end = int(series.start[stop]) if stop < len(series) else last
    alive = launched.count[first - 1 : stop] > 0
    until = int(launched.gpu_end[first - 1 : stop][alive].max(initial=end))
    calls = np.concatenate([calls_of(tables, thread, begin, end) for thread in threads])
    rows = _operations_near(tables, begin, until, calls)
    operations = operations_at(tables, rows)
    known = np.flatnonzero(operations.launch >= 0)
    called = np.full(len(rows), begin, np.int64)
    called[known] = tables.calls.one(operations.launch[known], "start")
    here = (operations.start >= begin) & (operations.start < end)
    return Stretch(
        trace=part_of(tables, calls, operations, _ranges(tables, begin, end)),
        threads=threads,
        main=series.thread_index,
        begin=begin,
        end=end,
        step_start=series.start[first - 1 : stop],
        first=first,
        stop=stop,
        running=_running(operations, (called < begin) & (operations.end > begin - _BARELY_NS)),
        without_call=int(np.count_nonzero(here & (operations.launch < 0))),
    )


def operations_at(tables: Whole | Store, rows: Int64) -> Operations:
    """The operations at these rows; `launch` is a row of the calls of the whole trace."""
    return Operations(**tables.operations.read(rows, *GROUPS["operations"]))


def _running(operations: Operations, rows: Bool) -> tuple[tuple[int, int, int], ...]:
    until: dict[tuple[int, int], int] = {}
    for k in np.flatnonzero(rows).tolist():
        place = int(operations.device[k]), int(operations.stream[k])
        end = int(operations.end[k])
        until[place] = max(until.get(place, end), end)
    return tuple((*place, end) for place, end in sorted(until.items()))


def calls_of(tables: Whole | Store, thread: int, begin: int, end: int) -> Int64:
    """Rows of the calls of one thread that begin in `[begin, end)`."""
    (first,), (stop,) = calls_between(tables, thread, np.array([begin]), np.array([end]))
    return np.arange(first, stop)


def calls_between(
    tables: Whole | Store, thread: int, begin: Int64, end: Int64
) -> tuple[Int64, Int64]:
    """The first row of the calls of one thread that begin in each `[begin, end)`, and the row
    behind the last."""
    low, high = sought(tables.calls["thread"], np.array([thread, thread + 1]), "left").tolist()
    places = sought(tables.calls["start"][low:high], np.concatenate((begin, end)), "left")
    return low + places[: len(begin)], low + places[len(begin) :]


def _operations_near(tables: Whole | Store, begin: int, until: int, calls: Int64) -> Int64:
    """Rows of the operations that run in `[begin, until]`, of those before them that still run
    then or ran just before, and of those after them that these calls launched."""
    start = tables.operations["start"]
    first, stop = sought(start, np.array([begin, until + 1]), "left").tolist()
    before = np.arange(max(0, first - _AROUND), first)
    before = before[tables.operations.one(before, "end") > begin - _BARELY_NS]
    after = np.arange(stop, min(len(start), stop + _AROUND))
    after = after[_places(calls, tables.operations.one(after, "launch")) >= 0]
    return np.concatenate((before, np.arange(first, stop), after))


def _ranges(tables: Whole | Store, begin: int, end: int) -> Ranges:
    """The ranges of all threads that touch `[begin, end)`."""
    if isinstance(tables, Store):
        rows = [
            tables.ranges.touching(*tables.ranges_rows(t), begin, end)
            for t in range(len(tables.threads))
        ]
        ranges = Ranges(**tables.ranges.read(np.concatenate(rows) if rows else np.empty(0, int)))
    else:
        ranges = tables.trace.ranges
    near = np.flatnonzero((ranges.start < end) & (ranges.end > begin))
    return Ranges(**{name: getattr(ranges, name)[near] for name in GROUPS["ranges"]})


def part_of(tables: Whole | Store, calls: Int64, operations: Operations, ranges: Ranges) -> Trace:
    """These calls, with the work and the ranges, as a trace of their own; `operations.launch`, as
    `calls`, are rows of the whole trace."""
    columns = tables.calls.read(calls, *GROUPS["calls"])
    place = _places(calls, operations.launch)
    operations = replace(operations, launch=place)
    synced = tables.synchronizations
    at = _places(calls, synced.call)
    mine = np.flatnonzero(at >= 0)
    waits = Synchronizations(
        **{name: getattr(synced, name)[mine] for name in GROUPS["synchronizations"]}
    )
    waits = replace(waits, call=at[mine])
    flags = columns["flags"]
    known = Waits(
        (flags & SYNCHRONIZING) > 0, (flags & GOES_ON) > 0, tables.flag_waits.among(calls)
    )
    if isinstance(tables, Store):
        trace = tables.part(operations, columns, ranges, waits, _none())
    else:
        whole = tables.trace
        del columns["flags"]
        trace = replace(
            whole,
            operations=operations,
            calls=replace(whole.calls, failed=whole.calls.failed[calls], **columns),
            ranges=ranges,
            synchronizations=waits,
        )
    know_waits(trace, known)
    return trace


def _none() -> Overheads:
    return Overheads(**{name: np.empty(0, kind) for name, kind in GROUPS["overheads"].items()})


def _places(rows: Int64, wanted: Int64) -> Int64:
    """Where each of the wanted values stands among ascending rows; -1 where it does not."""
    if len(rows) == 0:
        return np.full(len(wanted), -1, np.int64)
    at = np.minimum(np.searchsorted(rows, wanted), len(rows) - 1)
    return np.where(rows[at] == wanted, at, -1)
