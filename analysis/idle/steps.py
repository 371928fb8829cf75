"""Steps: the NVTX ranges that a pattern matches, and the GPU work that each one launched."""

from __future__ import annotations

import re

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool, Code, factorize
from ..model.cuda_calls import migrations
from ..model.intervals import Int64
from ..model.source import PROFILER_STEP_NAME, TORCH_PROFILER, Source
from ..model.trace import Thread, Trace
from ..question import DEFAULT_STEP, StepPattern
from .errors import TooManyThreads

MAX_SERIES = 128
"""Series of steps, and pairs of a series and a GPU, that one report is made for."""

PROFILER_STEP = StepPattern(PROFILER_STEP_NAME.pattern, PROFILER_STEP_NAME)
"""In a Kineto trace, what `prof.step()` marks is a step by default too."""


class StepSeries(Struct, frozen=True, eq=False):
    """The steps of one (process, thread, pattern), in host order. Arrays have shape (n,)."""

    pattern: str
    thread: Thread
    process: int
    """Index into `Trace.processes`."""
    thread_index: int
    start: Int64
    end: Int64
    """Host times of the range."""
    name: Int64
    number: Int64
    """What users call the step: the integer its name ends with, else its position."""
    unclosed: Bool
    step_of: Code
    """Shape (operations,): index of the step that launched it, -1 for none of this series."""
    by_time: int
    """Operations assigned because exactly one step was open, not by their launching thread: of
    the whole trace, as the next, also where `only` left steps out."""
    other_threads: dict[int, int]
    """Thread index to number of operations it launched for steps of this series."""

    def __len__(self) -> int:
        return len(self.start)

    def only(self, wanted: Bool) -> StepSeries:
        """The same series without the other steps, whose operations then belong to none."""
        if wanted.all():
            return self
        index = np.append(np.where(wanted, np.cumsum(wanted) - 1, -1), -1).astype(np.int32)
        return replace(
            self,
            start=self.start[wanted],
            end=self.end[wanted],
            name=self.name[wanted],
            number=self.number[wanted],
            unclosed=self.unclosed[wanted],
            step_of=index[self.step_of],  # -1, for no step, finds the -1 at the end
        )


class Steps(Struct, frozen=True):
    """All series of a trace, and how well operations could be told apart."""

    series: tuple[StepSeries, ...]
    unassigned: int
    """Operations launched outside every step, or by a call that is not in the trace."""
    ambiguous: int
    """Operations whose launch lay in several open steps at once."""


def effective(patterns: tuple[StepPattern, ...], source: Source) -> tuple[StepPattern, ...]:
    """As `find_steps` takes them: torch.profiler marks its own steps."""
    if patterns == (DEFAULT_STEP,) and source.producer == TORCH_PROFILER:
        return (PROFILER_STEP,)
    return patterns


def find_steps(trace: Trace, patterns: tuple[StepPattern, ...] = (DEFAULT_STEP,)) -> Steps:
    """Every range that matches, as series, each with its GPU operations.

    An operation belongs to the step whose range was open on the launching thread when its launch
    call began. What other threads launched (autograd), and start/end ranges that cross threads,
    go by time, where exactly one step of the process was open.
    """
    patterns = effective(patterns, trace.source)
    series: list[StepSeries] = []
    taken = np.zeros(len(trace.operations), np.bool_)
    doubtful = np.zeros(len(trace.operations), np.bool_)
    for pattern in patterns:
        matching = _matching(trace, pattern)
        threads = len(np.unique(trace.ranges.thread[matching]))
        if len(series) + threads > MAX_SERIES:
            raise TooManyThreads(
                f"{trace.path}: ranges on {len(series) + threads} threads match the step pattern, "
                f"more than the {MAX_SERIES} that can be told apart"
            )
        chosen = _outermost(trace, matching)
        if len(chosen) == 0:
            continue
        owner, by_time, ambiguous = _assign(trace, chosen)
        taken |= owner >= 0
        doubtful |= ambiguous
        series.extend(_split(trace, pattern, chosen, owner, by_time))
    return Steps(
        series=tuple(series),
        unassigned=int(np.count_nonzero(~taken & ~doubtful)),
        ambiguous=int(np.count_nonzero(doubtful & ~taken)),
    )


def _matching(trace: Trace, pattern: StepPattern) -> Int64:
    codes, ids = factorize(trace.ranges.name)
    hit = np.array([pattern.matches(trace.strings[i]) for i in ids.tolist()], np.bool_)
    return np.flatnonzero(hit[codes]) if len(ids) else np.empty(0, np.int64)


def _outermost(trace: Trace, rows: Int64) -> Int64:
    """Drop ranges nested in another match of the same thread."""
    kept = []
    thread = trace.ranges.thread[rows]
    for index in np.unique(thread).tolist():
        mine = rows[thread == index]
        reach = np.maximum.accumulate(trace.ranges.end[mine])
        outer = np.ones(len(mine), np.bool_)
        outer[1:] = trace.ranges.end[mine[1:]] > reach[:-1]
        kept.append(mine[outer])
    return np.concatenate(kept) if kept else rows


def _assign(trace: Trace, chosen: Int64) -> tuple[Code, Bool, Bool]:
    """Owner of each operation as a position in `chosen` (-1 none), by time or not, ambiguous."""
    operations, calls, ranges = trace.operations, trace.calls, trace.ranges
    n = len(operations)
    owner = np.full(n, -1, np.int32)
    by_time = np.zeros(n, np.bool_)
    ambiguous = np.zeros(n, np.bool_)
    launched, moved = operations.launch >= 0, migrations(operations)
    if not (launched | moved).any():
        return owner, by_time, ambiguous
    own_thread = ranges.thread[chosen] == ranges.end_thread[chosen]
    step_of_call = np.full(len(calls), -1, np.int32)
    several = np.zeros(len(calls), np.bool_)
    for thread in np.unique(ranges.thread[chosen]).tolist():
        # Calls are sorted by (thread, start): those of one thread stand together.
        lo, hi = np.searchsorted(calls.thread, [thread, thread + 1])
        mine = np.flatnonzero((ranges.thread[chosen] == thread) & own_thread)
        found, crowded = _open_at_calls(
            calls.start[lo:hi], ranges.start[chosen[mine]], ranges.end[chosen[mine]]
        )
        if 0 < len(mine) < len(chosen):
            found = np.where(found >= 0, mine[found], -1)
        step_of_call[lo:hi] = found
        several[lo:hi] = crowded
    owner[launched] = step_of_call[operations.launch[launched]]
    ambiguous[launched] = several[operations.launch[launched]]
    # Pages that move because somebody touched them were launched by nobody: they go by time.
    rest = np.flatnonzero((launched | moved) & (owner < 0) & ~ambiguous)
    if len(rest):
        process_of_thread = _process_of_thread(trace)
        step_process = process_of_thread[ranges.thread[chosen]]
        rest_process = operations.process[rest]
        for process in np.unique(step_process).tolist():
            late = rest[rest_process == process]
            steps = np.flatnonzero(step_process == process)
            instants = operations.start[late]
            called = launched[late]
            instants[called] = calls.start[operations.launch[late[called]]]
            found, crowded = _open_at(
                instants, ranges.start[chosen[steps]], ranges.end[chosen[steps]]
            )
            owner[late] = np.where(found >= 0, steps[found], -1)
            by_time[late] = found >= 0
            ambiguous[late] = crowded
    return owner, by_time, ambiguous


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


def _process_of_thread(trace: Trace) -> Int64:
    index = {pid: k for k, pid in enumerate(trace.processes)}
    return np.array([index.get(t.global_tid & ~0xFFFFFF, -1) for t in trace.threads], np.int64)


def _split(
    trace: Trace, pattern: StepPattern, chosen: Int64, owner: Code, by_time: Bool
) -> list[StepSeries]:
    ranges, operations = trace.ranges, trace.operations
    thread = ranges.thread[chosen]
    process_of_thread = _process_of_thread(trace)
    result = []
    for index in np.unique(thread).tolist():
        mine = np.flatnonzero(thread == index)
        first, stop = int(mine[0]), int(mine[-1]) + 1  # `chosen` is grouped by thread
        if (first, stop) == (0, len(chosen)):
            inside, step_of = owner >= 0, owner
        else:
            inside = (owner >= first) & (owner < stop)
            step_of = np.where(inside, owner - first, -1).astype(np.int32)
        timed = inside & by_time
        launchers = trace.calls.thread[operations.launch[timed & (operations.launch >= 0)]]
        counts = {int(t): int(np.count_nonzero(launchers == t)) for t in np.unique(launchers)}
        rows = chosen[mine]
        names = [trace.strings[i] for i in ranges.name[rows].tolist()]
        result.append(
            StepSeries(
                pattern=pattern.text,
                thread=trace.threads[index],
                process=int(process_of_thread[index]),
                thread_index=index,
                start=ranges.start[rows],
                end=ranges.end[rows],
                name=ranges.name[rows],
                number=_numbers(names),
                unclosed=ranges.unclosed[rows],
                step_of=step_of,
                by_time=int(np.count_nonzero(timed)),
                other_threads={t: n for t, n in counts.items() if t != index},
            )
        )
    return result


_TRAILING = re.compile(r"(\d{1,18})\D*$")


def _numbers(names: list[str]) -> Int64:
    found = [_TRAILING.search(name[-64:]) for name in names]
    if all(found):
        numbers = np.array([int(match.group(1)) for match in found if match], np.int64)
        if len(np.unique(numbers)) == len(numbers):
            return numbers
    return np.arange(len(names), dtype=np.int64)
