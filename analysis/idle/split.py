"""The idle time of some gaps by cause, however many calls lie in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from ..model.arrays import Bool, distinct_rows, factorize, groups, stretches
from ..model.intervals import Int64
from ..model.trace import Operations, Trace
from ..store.cut import (
    calls_of,
    calls_touching,
    host_rows,
    no_operations,
    operations_of,
    overheads_touching,
    part_of,
    ranges_touching,
)
from ..store.layout import GOES_ON
from ..store.opened import Store
from .attribute import (
    Attribution,
    ahead_of,
    attribute,
    drain_codes,
    handoff_threads,
    host_by_range,
    launch_edges,
)
from .causes import causes
from .drains import before_call, call_of, drained_by, renumbered
from .gaps import DeviceGaps, known
from .waits import Released, know_released


class Split(Struct):
    """Idle time of some gaps of one device, by cause and by what is known of the causes."""

    time: Int64
    """Shape (causes, gaps), ns."""
    used: set[int]
    """Positions of the causes that have any time."""
    drained_by: Int64
    """Shape (gaps,): the wait that drained the queue, numbered as in `drains` by the calls of the
    whole trace."""
    drains: Int64
    """The same as a number for each name."""
    ahead: Bool
    """Shape (gaps,): see `attribute.ahead_of`."""
    host: Mapping[str, int]
    """Idle ns of cause `host` by NVTX range."""
    handoffs: Mapping[str, int]
    """Idle ns of cause `handoff` by threads."""
    skewed: int
    skew_ns: int
    whole: Attribution | None = field(default=None)
    """With all rows, where the trace is in memory."""


def split_whole(trace: Trace, gaps: DeviceGaps, names: dict[str, int]) -> Split:
    """Of gaps of a trace in memory. `names`: see `attribute.drain_codes`."""
    found = attribute(trace, gaps)
    return Split(
        found.time, set(found.used), found.drained_by,
        drain_codes(trace, found.drained_by, names), found.ahead,
        host_by_range(trace, gaps, found), handoff_threads(trace, gaps, found),
        found.skewed, found.skew_ns, found,
    )  # fmt: skip


def split_stored(
    store: Store,
    part: Trace,
    operations: Operations,
    gaps: DeviceGaps,
    released: Released,
    names: dict[str, int],
    most: int,
) -> Split:
    """Of gaps between operations of a stored trace.

    `part`: a trace of these operations and their launches; `operations`: the same with rows of the
    store's calls as `launch`; `most`: calls and ranges that may be held. Where more lie in the
    gaps, the gaps are halved; a single one is halved in time: each half has the same operations
    around it, so that the parts add up.
    """
    time = np.zeros((len(causes()), len(gaps)), np.int64)
    found = _Found(store, operations, gaps, released, time, np.full(len(gaps), -1, np.int64))
    todo = [(0, len(gaps), -1, -1)] if len(gaps) else []
    while todo:
        low, high, first, last = todo.pop()
        start, end = gaps.start[low:high], gaps.end[low:high]
        if last >= 0:
            start, end = np.array([first]), np.array([last])
        span = (int(start[0]), int(end[-1]))
        threads = _threads(store, operations, gaps.after[low:high])
        if host_rows(store, threads, *span) > most:
            if high - low > 1:
                middle = (low + high) // 2
                todo += [(middle, high, -1, -1), (low, middle, -1, -1)]
                continue
            if span[1] - span[0] > 1:
                if last < 0:
                    found.add_drain(low, most)
                middle = (span[0] + span[1]) // 2
                todo += [(low, high, middle, span[1]), (low, high, span[0], middle)]
                continue
        some = replace(gaps.only(slice(low, high)), start=start, end=end)
        found.add(some, threads, span, slice(low, high), drains=last < 0)
        store.forget()
    assert np.array_equal(time.sum(axis=0), gaps.length)
    launch = known(part.operations.launch, gaps.after)
    skew = launch_edges(part, gaps, launch)[2]
    return Split(
        time, found.used, found.drained_by, _drains(store, found.drained_by, names, most),
        ahead_of(part, gaps, launch, time), found.host, found.handoffs,
        int(np.count_nonzero(skew > 0)), int(skew.max(initial=0)),
    )  # fmt: skip


def _threads(store: Store, operations: Operations, after: Int64) -> list[int]:
    """The threads that launched what ends these gaps."""
    launch = operations.launch[after[after >= 0]]
    thread = store.calls.one(launch[launch >= 0], "thread")
    distinct: list[int] = factorize(thread.astype(np.int64))[1].tolist()
    return distinct


class _Found(Struct):
    """What some of the gaps add to a split, with rows of the store's calls."""

    store: Store
    operations: Operations
    gaps: DeviceGaps
    released: Released
    time: Int64
    drained_by: Int64
    used: set[int] = field(default_factory=set)
    host: Counter[str] = field(default_factory=Counter)
    handoffs: Counter[str] = field(default_factory=Counter)

    def add(
        self,
        gaps: DeviceGaps,
        threads: list[int],
        span: tuple[int, int],
        where: slice,
        *,
        drains: bool,
    ) -> None:
        """`drains`: these are whole gaps, so that what drained the queue can be told."""
        store = self.store
        around = np.concatenate((gaps.before, gaps.after))
        launches = self.operations.launch[around[around >= 0]]
        launches = launches[launches >= 0]
        # The call above a launch says what its thread did before it.
        needed = [launches, np.maximum(launches - 1, 0), *calls_touching(store, threads, *span)]
        calls = distinct_rows(*needed)
        ranges, overheads = ranges_touching(store, threads, *span), overheads_touching(store, *span)
        part = part_of(store, self.operations, calls, ranges, overheads)
        near = self.operations
        if self.released.times:
            whole = int(self.gaps.start[where.start]), int(self.gaps.end[where.stop - 1])
            touching = store.operations.touching(0, store.operations.rows, *whole)
            near = operations_of(store, touching)
        know_released(part, self.released, near)
        found = attribute(part, gaps)
        for k in found.used:
            self.time[k, where] += found.time[k]
        self.used.update(found.used)
        if drains:
            self.drained_by[where] = renumbered(found.drained_by, calls)
        self.host.update(host_by_range(part, gaps, found))
        self.handoffs.update(handoff_threads(part, gaps, found))

    def add_drain(self, k: int, most: int) -> None:
        """What drained the queue before one gap, from the calls around its begin alone."""
        store, gap = self.store, self.gaps.only(slice(k, k + 1))
        launch = known(self.operations.launch, gap.after)
        if launch[0] < 0:
            return
        thread = int(store.calls.one(launch, "thread")[0])
        around = calls_of(store, thread, int(gap.start[0]), int(gap.start[0]))
        if len(around) == 0:
            return
        last = _last_of_wait(store, thread, int(around[-1]), most)
        calls = distinct_rows(around, np.array([last]), launch)
        part = part_of(store, self.operations, calls)
        found = drained_by(part, gap, known(part.operations.launch, gap.after))
        self.drained_by[k] = renumbered(found, calls)[0]


def _last_of_wait(store: Store, thread: int, row: int, most: int) -> int:
    """The last call of the wait that a call is part of, that call itself if of none."""
    stop: int = store.threads_rows(thread)[1]
    for some in stretches(stop - row - 1, most):
        rows = slice(row + 1 + some.start, row + 1 + some.stop)
        ends = np.flatnonzero((store.calls.one(rows, "flags") & GOES_ON) == 0)
        if len(ends):
            first: int = some.start + int(ends[0])
            return row + first
    return stop - 1


def _drains(store: Store, waits: Int64, names: dict[str, int], most: int) -> Int64:
    """As `attribute.drain_codes`, for waits numbered by the rows of the store's calls."""
    distinct = np.unique(waits[waits != -1])
    distinct = distinct[np.argsort(call_of(distinct), kind="stable")]
    calls, at = call_of(distinct), _seen_at(store, distinct)
    codes = np.full(len(distinct), -1, np.int64)
    todo = [(thread, mine) for thread, mine in groups(store.calls.one(calls, "thread"))]
    while todo:
        thread, mine = todo.pop()
        first, last = int(at[mine].min()), int(at[mine].max())
        if len(mine) > 1 and host_rows(store, [thread], first, last) > most:
            half = len(mine) // 2
            todo += [(thread, mine[half:]), (thread, mine[:half])]
            continue
        ranges = ranges_touching(store, [thread], first, last)
        rows = distinct_rows(calls[mine])
        part = part_of(store, no_operations(), rows, ranges)
        there = np.searchsorted(rows, calls[mine])
        there = np.where(distinct[mine] < -1, before_call(there), there)
        codes[mine] = drain_codes(part, there, names)
    found = np.full(len(waits), -1, np.int64)
    drained = np.flatnonzero(waits != -1)
    order = np.argsort(distinct)
    found[drained] = codes[order][np.searchsorted(distinct[order], waits[drained])]
    return found


def _seen_at(store: Store, waits: Int64) -> Int64:
    """As `attribute.seen_at`."""
    at = store.calls.one(call_of(waits), "start")
    flagged = waits < -1
    at[flagged] = store.flag_waits.at(call_of(waits[flagged]))
    return at
