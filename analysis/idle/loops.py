"""Which ranges are the steps of one loop: by pattern, process and thread, and pools of threads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec.structs import replace

from ..model.arrays import factorize
from ..model.intervals import Int64
from ..model.schema import PID_MASK
from ..model.trace import Ranges, Strings, Thread
from ..question import StepPattern
from .engines import engine_of
from .errors import TooManyThreads
from .numbers import COUNTED, trailing_number
from .steps import MAX_SERIES, StepSeries

FULL = 0.5
"""Share of the time that ranges fill, from which it is no accident that no two of them overlap."""

_NOBODY = np.empty(0, np.int32)


def find_loops(
    path: Path,
    ranges: Ranges,
    strings: Strings,
    threads: Sequence[Thread],
    processes: Sequence[int],
    patterns: Sequence[StepPattern],
    homes: dict[int, int],
) -> tuple[StepSeries, ...]:
    """Every range that matches, as series without operations, by pattern and thread.

    `homes`: see `steps.Homes`. Raises TooManyThreads.
    """
    place = {pid: k for k, pid in enumerate(processes)}
    process_of = [place.get(one.global_tid & PID_MASK, -1) for one in threads]
    found: list[StepSeries] = []
    for asked, pattern in enumerate(patterns):
        matching = _matching(ranges, strings, pattern)
        owner = ranges.thread[matching]
        groups: dict[tuple[int, int], list[int]] = {}
        for thread in np.unique(owner).tolist():
            groups.setdefault((process_of[thread], homes.get(thread, -1)), []).append(thread)
        loops: list[tuple[int, Int64, Int64]] = []
        for group in groups.values():
            rows = {thread: matching[owner == thread] for thread in group}
            loops += _loops_of(ranges, strings, rows)
        if len(found) + len(loops) > MAX_SERIES:
            raise TooManyThreads(
                f"{path}: ranges on {len(found) + len(loops)} threads match the step pattern, "
                f"more than the {MAX_SERIES} that can be told apart"
            )
        for thread, kept, dropped in sorted(loops, key=lambda loop: loop[0]):
            process = process_of[thread]
            found.append(
                _series(ranges, strings, pattern, asked, threads, thread, process, kept, dropped)
            )
    return _told_apart(strings, found)


def _told_apart(strings: Strings, found: Sequence[StepSeries]) -> tuple[StepSeries, ...]:
    """The same, with what comes between the steps of one kind of an inference engine."""
    engines = [engine_of(strings[int(one.name[0])]) if len(one) else None for one in found]
    result = list(found)
    for k, (one, engine) in enumerate(zip(found, engines, strict=True)):
        others = [
            other.start
            for other, its in zip(found, engines, strict=True)
            if engine
            and its is engine
            and other.asked != one.asked
            and other.thread_index == one.thread_index
        ]
        if others:
            before = np.searchsorted(np.sort(np.concatenate(others)), one.start)
            result[k] = replace(one, between=np.diff(before, append=before[-1:]))
    return tuple(result)


def _matching(ranges: Ranges, strings: Strings, pattern: StepPattern) -> Int64:
    codes, ids = factorize(ranges.name)
    hit = np.array([pattern.matches(strings[i]) for i in ids.tolist()], np.bool_)
    return np.flatnonzero(hit[codes]) if len(ids) else np.empty(0, np.int64)


def _loops_of(
    ranges: Ranges, strings: Strings, rows: dict[int, Int64]
) -> list[tuple[int, Int64, Int64]]:
    """(thread, rows of the steps, rows of those never closed) of each loop among some threads of
    a process: one for each thread, or one for all of them."""
    alone = [(thread, *_steps_among(ranges, mine)) for thread, mine in rows.items()]
    if len(rows) > 1:
        every = np.concatenate(list(rows.values()))
        every = every[np.lexsort((-ranges.end[every], ranges.start[every]))]
        kept, dropped = _steps_among(ranges, every)
        outermost = sum(len(mine) for _, mine, _ in alone)
        lost = sum(len(mine) for _, _, mine in alone)
        whole = len(kept) + len(dropped) == outermost + lost
        if whole and _one_loop(ranges, strings, kept):
            thread, count = np.unique(ranges.thread[kept], return_counts=True)
            return [(int(thread[np.argmax(count)]), kept, dropped)]
    return alone


def _steps_among(ranges: Ranges, rows: Int64) -> tuple[Int64, Int64]:
    """(outermost ranges, those never closed though others follow) of rows by (start, -end).

    Where one was never closed, those that begin later were not meant to be inside it.
    """
    start = ranges.start[rows]
    follows = np.zeros(len(rows), np.bool_)
    follows[:-1] = start[1:] >= start[:-1]
    open_ones = ranges.unclosed[rows] & follows
    closed = rows[~open_ones]
    reach = np.maximum.accumulate(ranges.end[closed])
    outer = np.ones(len(closed), np.bool_)
    outer[1:] = ranges.end[closed[1:]] > reach[:-1]
    return closed[outer], rows[open_ones]


def _one_loop(ranges: Ranges, strings: Strings, rows: Int64) -> bool:
    """Whether steps of several threads, by start, are one loop's: never two at once, and their
    numbers go on from thread to thread; or, without numbers, they fill the time by turns."""
    start, end, thread = ranges.start[rows], ranges.end[rows], ranges.thread[rows]
    if len(rows) < 2 or (start[1:] < end[:-1]).any():
        return False
    turns = np.flatnonzero(thread[1:] != thread[:-1])
    if len(turns) == 0:
        return False
    number = _said_numbers(strings, ranges.name[rows])
    if number is None:
        full = int((end - start).sum()) >= FULL * (int(end[-1]) - int(start[0]))
        return full and len(turns) >= 2 * len(np.unique(thread))
    if (np.diff(number) <= 0).any():
        return False
    usual = int(np.median(np.diff(number)))
    return bool(np.mean(np.diff(number)[turns] == usual) >= COUNTED)


def _series(
    ranges: Ranges,
    strings: Strings,
    pattern: StepPattern,
    asked: int,
    threads: Sequence[Thread],
    thread: int,
    process: int,
    kept: Int64,
    dropped: Int64,
) -> StepSeries:
    both = np.concatenate((kept, dropped))
    order = np.argsort(ranges.start[both], kind="stable")
    number = np.empty(len(both), np.int64)
    number[order] = _numbers(strings, ranges.name[both[order]])
    return StepSeries(
        pattern=pattern.text,
        asked=asked,
        thread=threads[thread],
        process=process,
        thread_index=thread,
        start=ranges.start[kept],
        end=ranges.end[kept],
        name=ranges.name[kept],
        number=number[: len(kept)],
        unclosed=ranges.unclosed[kept],
        never_closed=np.sort(number[len(kept) :]),
        thread_of=ranges.thread[kept],
        own=ranges.thread[kept] == ranges.end_thread[kept],
        step_of=_NOBODY,
        by_time=0,
        other_threads={},
        by=pattern,
    )


def _said_numbers(strings: Strings, names: Int64) -> Int64 | None:
    """The integers that all these names end with; None where one has none."""
    found = np.array([trailing_number(strings[name]) for name in names.tolist()], np.int64)
    return None if (found < 0).any() else found


def _numbers(strings: Strings, names: Int64) -> Int64:
    """The integers that names end with where they tell all apart, else positions."""
    found = _said_numbers(strings, names)
    if found is not None and len(np.unique(found)) == len(found):
        return found
    return np.arange(len(names), dtype=np.int64)
