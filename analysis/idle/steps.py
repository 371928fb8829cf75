"""Steps: the NVTX ranges that a pattern matches, and the GPU work that each one launched."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool, Code, factorize
from ..model.intervals import Int64
from ..model.trace import Thread, Trace
from ..question import StepPattern
from .numbers import missing_after

MAX_SERIES = 128
"""Series of steps, and pairs of a series and a GPU, that one report is made for."""

INFERRED = "(inferred: {} operations)"
"""What stands for the pattern of steps that no range marks; their numbers skip other work."""

HOME = 0.9
"""Share of the time of a thread's work on one device from which the thread is that device's."""


class StepSeries(Struct, frozen=True, eq=False):
    """The steps of one loop, in host order: of one process and pattern, and of one thread or of
    several that take turns. Arrays have shape (n,) unless said."""

    pattern: str
    asked: int
    """Which of the patterns asked for that is."""
    thread: Thread
    process: int
    """Index into `Trace.processes`."""
    thread_index: int
    """Of `thread`, which runs the most steps."""
    start: Int64
    end: Int64
    """Host times of the range."""
    name: Int64
    number: Int64
    """What users call the step: the integer its name ends with, else its position."""
    unclosed: Bool
    """Never closed, and the last of its thread: it ends with the recording."""
    never_closed: Int64
    """Numbers of the ranges that never closed and that others follow: they are no steps."""
    thread_of: Code
    """The thread that opened each step, an index into `Trace.threads`."""
    own: Bool
    """Opened and closed by one thread."""
    step_of: Code
    """Shape (operations,): index of the step that launched it, -1 for none of this series."""
    by_time: int
    """Operations assigned because exactly one step was open, not by their launching thread: of
    the whole trace, as the next, also where `only` left steps out."""
    other_threads: dict[int, int]
    """Thread index to number of operations it launched for steps of this series."""
    by: StepPattern | None = None
    """The pattern that found them; None where no range marks them."""
    between: Int64 | None = None
    """Steps of the other kind of one inference engine between each and the next; None where there
    are no kinds."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def threads(self) -> list[int]:
        """Every thread that opened a step, ascending."""
        found: list[int] = np.unique(self.thread_of).tolist()
        return found

    @property
    def missing(self) -> Int64:
        """How many steps that are none of these come between each and the next; shape (n,)."""
        return missing_after(self.number) if self.between is None else self.between

    @property
    def alone(self) -> Bool:
        """The steps that another kind of the same engine's follows, where most are such: a prefill
        among decode steps. Shape (n,)."""
        if self.between is None or 2 * np.count_nonzero(self.between[:-1]) <= len(self) - 1:
            return np.zeros(len(self), np.bool_)
        return self.between > 0

    def only(self, wanted: Bool) -> StepSeries:
        """The same series without the other steps, whose operations then belong to none."""
        if wanted.all():
            return self
        index = np.append(np.where(wanted, np.cumsum(wanted) - 1, -1), -1).astype(np.int32)
        number = self.number[wanted]
        open_ones = self.never_closed
        if len(number):
            open_ones = open_ones[(open_ones > number.min()) & (open_ones < number.max())]
        return replace(
            self,
            start=self.start[wanted],
            end=self.end[wanted],
            name=self.name[wanted],
            number=number,
            unclosed=self.unclosed[wanted],
            never_closed=open_ones,
            thread_of=self.thread_of[wanted],
            own=self.own[wanted],
            step_of=index[self.step_of],  # -1, for no step, finds the -1 at the end
            between=None if self.between is None else self.between[wanted],
        )


def is_inferred(pattern: str) -> bool:
    """Whether no range marks these steps."""
    return pattern.startswith(INFERRED.partition("{")[0])


class Steps(Struct, frozen=True):
    """All series of a trace, and how well operations could be told apart."""

    series: tuple[StepSeries, ...]
    unassigned: int
    """Operations launched outside every step, or by a call that is not in the trace."""
    ambiguous: int
    """Operations whose launch lay in several open steps at once."""


class Homes:
    """Which device each thread's work runs on, where it is one: parts of a trace add up."""

    def __init__(self) -> None:
        self._ns: dict[tuple[int, int], int] = {}

    def add(self, thread: Code, device: Code, length: Int64) -> None:
        """Of some operations: who launched them, where, and how long they ran, ns."""
        pair, distinct = factorize(thread.astype(np.int64) << 32 | device)
        total = np.zeros(len(distinct), np.int64)
        np.add.at(total, pair, length)
        for key, ns in zip(distinct.tolist(), total.tolist(), strict=True):
            place = key >> 32, key & 0xFFFFFFFF
            self._ns[place] = self._ns.get(place, 0) + ns

    def result(self) -> dict[int, int]:
        """Thread index to device index."""
        total: dict[int, int] = {}
        for (thread, _), ns in self._ns.items():
            total[thread] = total.get(thread, 0) + ns
        return {
            thread: device
            for (thread, device), ns in sorted(self._ns.items())
            if ns >= HOME * total[thread]
        }


def homes_of(trace: Trace) -> dict[int, int]:
    """Of a trace in memory; empty where there is one device, which tells nobody apart."""
    found, operations = Homes(), trace.operations
    if len(trace.devices) > 1:
        known = operations.launch >= 0
        length = (operations.end - operations.start)[known]
        found.add(trace.calls.thread[operations.launch[known]], operations.device[known], length)
    return found.result()
