"""What has to be known of all rows of a trace before its parts are walked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool, groups, stretches
from ..model.cuda_calls import CAPTURE_BEGINS, CAPTURE_ENDS, named
from ..model.intervals import Int64
from ..model.schema import MAX_TIME, NULL, UNKNOWN_CALL, Kind
from ..model.trace import Strings
from ..store.folder import Array
from ..store.layout import FAILED, LAUNCHED, REPEATED
from ..store.opened import Store
from ..store.whole import Whole
from .census import ProcessCount, count_processes, unrecorded
from .physics.laws import Physics, physics_of
from .physics.waited import DEVICE_WAITS, STREAM_WAITS
from .proposals import LOOKED_AT, Proposed, proposed_ranges
from .sizes import Progress, Sizes, quiet
from .waits import Released, find_released

LAUNCH = re.compile(
    r"(cuda|cu|hip)(Graph|Module|Ext|ExtModule|HccModule|Drv)?Launch(?!HostFunc)"
    r"|urEnqueueKernelLaunch"
)
"""Calls that queue kernels or graphs, of every version: cudaLaunch of CUDA 3 too."""

KINDS = (
    ("copies", re.compile(r"(cuda|hip|cu)Memcpy")),
    ("memsets", re.compile(r"(cuda|hip|cu)Memset")),
)
"""Which calls make which operations. One such call may leave no row (of no bytes, or from host to
host), but hardly all of them."""

MANAGED = re.compile(r"(cuda|hip)MallocManaged|cuMemAllocManaged")

QUEUES_NOTHING_NS = 1_000
"""A copy or memset that returns within this time has queued nothing: cublasLt makes such calls."""

OF_NO_BYTES = 0.75
"""So has a call, of no bytes perhaps, that takes less than this share of what the quickest call of
its name took that left an operation."""
TELLING_CALLS = 10
"""As many calls of a name that left an operation tell how long such a call takes: the first ones
take longer than others."""


class Counted(Struct, frozen=True):
    """What the verdicts need to know of all rows of a trace."""

    operations: int
    calls: int
    graphs: int
    """CUDA graphs recorded whole."""
    missing: int
    """Launches without GPU rows."""
    launches: int
    ranges: Proposed
    """Families of ranges that may be the steps."""
    nameless: tuple[str, ...] = ()
    """Which rows refer to names that the export does not hold."""
    unseen: tuple[tuple[str, int, int], ...] = ()
    """Copies and memsets: how many calls that asked for them left none, of how many calls."""
    microseconds: bool = False
    """Whether all times of operations are whole microseconds."""
    managed: bool = False
    """Whether the program allocated unified memory."""
    physics: Physics = Physics()
    """Where rows break a law."""
    processes: tuple[ProcessCount, ...] = ()
    """Who was recorded; `launches` and `missing` leave out those of whom nothing was."""
    flags: tuple[int, int] = (0, 0)
    """Copies whose flags were waited for, of so many at their places."""


class Facts(Struct, frozen=True):
    """What is known of all rows of a trace before its parts are walked."""

    counted: Counted
    released: tuple[tuple[int, int, Int64], ...]
    """As `waits.Released.times`: (process, stream, times)."""
    opening: tuple[int, ...]
    """As `waits.Released.opening`."""

    def by_stream(self) -> Released:
        times = {(process, stream): times for process, stream, times in self.released}
        return Released(times, frozenset(self.opening))


def facts_of(tables: Whole | Store, sizes: Sizes, progress: Progress) -> Facts:
    """Find them: two passes over the calls, and two over the operations."""
    counted = count_rows(tables, sizes, progress)
    found = find_released(tables, sizes.operations)
    times = tuple((*stream, times) for stream, times in found.times.items())
    return Facts(counted, times, tuple(sorted(found.opening)))


def count_rows(tables: Whole | Store, sizes: Sizes, progress: Progress = quiet) -> Counted:
    """Count them: one pass over the operations, and two over the calls."""
    operations, ranges = tables.operations, tables.ranges
    rows_of = _Rows(len(tables.processes))
    for rows in stretches(operations.rows, sizes.operations):
        rows_of.add(operations.read(rows, *_COUNTED))
        tables.forget()
    recorded, every, unseen = _launches(tables, sizes, progress, rows_of)
    processes = count_processes(tables, sizes, every, recorded)
    # A process of which nothing was recorded is named, and says nothing of the others.
    launches = int(every.sum()) - sum(one.launches for one in unrecorded(processes))
    # Rows that no id joins to a launch, and those without a time or a length, are launches that
    # left one.
    left = int(recorded.sum()) + rows_of.unjoined + tables.dropped.empty + tables.dropped.null
    looked_at = slice(0, LOOKED_AT)
    counted = Counted(
        operations=operations.rows,
        calls=tables.calls.rows,
        graphs=rows_of.graphs,
        missing=max(0, launches - left),
        launches=launches,
        ranges=proposed_ranges(tables),
        nameless=nameless(
            tables.names,
            operations.one(looked_at, "name"),
            (ranges.one(rows, "name") for rows in stretches(ranges.rows, sizes.host_rows)),
            tables.strings,
        ),
        unseen=unseen,
        microseconds=rows_of.microseconds,
        managed=any(MANAGED.match(name) for name in tables.names),
        physics=physics_of(tables, sizes, progress),
        processes=processes,
        flags=(tables.flag_waits.followed, tables.flag_waits.copies),
    )
    tables.forget()
    return counted


_COUNTED = ("start", "end", "kind", "correlation", "process", "stream", "node")


class _Rows:
    """What is counted of the operations, part by part."""

    def __init__(self, processes: int) -> None:
        self.graphs = self.unjoined = 0
        """Graphs recorded whole; kernels and graphs without an id."""
        self.microseconds = True
        self._low = np.full(processes, np.iinfo(np.int64).max)
        self._high = np.full(processes, np.iinfo(np.int64).min)

    def add(self, rows: dict[str, Array]) -> None:
        kind = rows["kind"]
        self.graphs += int(np.count_nonzero(kind == Kind.GRAPH))
        launched = (kind == Kind.KERNEL) | (kind == Kind.GRAPH)
        launched &= (rows["correlation"] <= 0) & (rows["node"] == 0)
        self.unjoined += int(np.count_nonzero(launched))
        if self.microseconds:
            self.microseconds = not any((rows[name] % 1000).any() for name in ("start", "end"))
        np.minimum.at(self._low, rows["process"], rows["stream"])
        np.maximum.at(self._high, rows["process"], rows["stream"])

    @property
    def one_stream(self) -> Bool:
        """Which processes work on a single stream; shape (processes,)."""
        one: Bool = self._low == self._high
        return one


def nameless(
    calls: tuple[str, ...], operations: Int64, ranges: Iterable[Int64], strings: Strings
) -> tuple[str, ...]:
    """Which rows refer to names that are not there; `calls` are names, the others are ids."""
    found = ["CUDA calls"] if UNKNOWN_CALL in calls else []
    if _unknown(operations, strings):
        found.append("kernels")
    if any(_unknown(part, strings) for part in ranges):
        found.append("NVTX ranges")
    return tuple(found)


def _unknown(names: Int64, strings: Strings) -> bool:
    """Whether any of these ids is no string; 0 and NULL are rows without a name."""
    known = strings.values.keys() | {0, NULL}
    return not known >= set(np.unique(names).tolist())


def _launches(
    tables: Whole | Store, sizes: Sizes, progress: Progress, rows_of: _Rows
) -> tuple[Int64, Int64, tuple[tuple[str, int, int], ...]]:
    """(launches that left GPU rows, launches) of each process, kernel and graph launches only; and
    `Counted.unseen`.

    Left out: failed calls, launches under stream capture, duplicate API rows, and the launches
    after the last one that was seen to run: their work was still queued when recording ended,
    unless a wait for all work came back after them.
    """
    launching = named(tables.names, LAUNCH.match)
    copying = {what: named(tables.names, pattern.match) for what, pattern in KINDS}
    waits = named(tables.names, DEVICE_WAITS.__contains__)
    waits_for_one = named(tables.names, STREAM_WAITS.__contains__)
    wanted = np.logical_or.reduce([launching, waits, waits_for_one, *copying.values()])
    count = len(tables.processes)
    waited = np.full(count, -MAX_TIME)
    last = np.full(count, -MAX_TIME)
    seen, every = _Different(count), _Different(count)
    queues = np.logical_or.reduce(list(copying.values()))
    quickest = np.full(len(tables.names), MAX_TIME)
    telling = np.zeros(len(tables.names), np.int64)
    for part in _sound(tables, wanted, sizes, progress):
        mine = launching[part["name"]] & ((part["flags"] & LAUNCHED) > 0)
        np.maximum.at(last, part["process"][mine], part["start"][mine])
        alone = rows_of.one_stream[part["process"]]
        ran = waits[part["name"]] | (waits_for_one[part["name"]] & alone)
        ran &= part["end"] > part["start"]
        np.maximum.at(waited, part["process"][ran], part["start"][ran])
        seen.add(part, mine)
        left_one = queues[part["name"]] & ((part["flags"] & (LAUNCHED | REPEATED)) == LAUNCHED)
        took = part["end"][left_one] - part["start"][left_one]
        np.minimum.at(quickest, part["name"][left_one], took)
        telling += np.bincount(part["name"][left_one], minlength=len(telling))
    shortest = np.where(telling >= TELLING_CALLS, OF_NO_BYTES * quickest, 0)
    least = np.maximum(shortest, QUEUES_NOTHING_NS)
    # A process without any has lost what it launched while others were seen to work.
    last = np.where(seen.counts() > 0, np.maximum(last, waited), tables.operations.last_end)
    asked = {what: np.zeros(2, np.int64) for what in copying}
    for part in _sound(tables, wanted, sizes, progress):
        within = part["start"] <= last[part["process"]]
        every.add(part, launching[part["name"]] & within)
        single = (part["flags"] & REPEATED) == 0
        single &= within & (part["end"] - part["start"] >= least[part["name"]])
        left_none = (part["flags"] & LAUNCHED) == 0
        for what, copies in copying.items():
            mine = copies[part["name"]] & single
            asked[what] += np.count_nonzero(mine & left_none), np.count_nonzero(mine)
    found = ((what, int(none), int(of)) for what, (none, of) in asked.items())
    return seen.counts(), every.counts(), tuple(one for one in found if one[1])


def _sound(
    tables: Whole | Store, wanted: Bool, sizes: Sizes, progress: Progress
) -> Iterator[dict[str, Array]]:
    """Calls of the names wanted that succeeded outside a stream capture, with some columns."""
    calls, capture = tables.calls, _Capture(tables.names)
    for rows in stretches(calls.rows, sizes.host_rows):
        progress("calls", rows.start, calls.rows)
        name = calls.one(rows, "name")
        failed = (calls.one(rows, "flags") & FAILED) > 0
        mask = wanted[name] & ~failed & (calls.one(rows, "correlation") > 0)
        if capture.any:
            mask &= ~capture.mask(calls.one(rows, "thread"), name, failed)
        chosen = rows.start + np.flatnonzero(mask)
        yield calls.read(chosen, "start", "end", "process", "name", "flags", "correlation")
        tables.forget()


class _Capture:
    """Calls between cudaStreamBeginCapture and EndCapture of their thread."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._begins = named(names, CAPTURE_BEGINS.__contains__)
        self._ends = named(names, CAPTURE_ENDS.__contains__)
        self.any = bool(self._begins.any())
        self._thread, self._depth = -1, 0

    def mask(self, thread: Array, name: Array, failed: Bool) -> Bool:
        """Of the next calls, which are sorted by thread."""
        step = (self._begins[name] & ~failed).astype(np.int64) - self._ends[name]
        depth = np.cumsum(step)
        first = np.searchsorted(thread, thread, side="left")
        base = np.where(first > 0, depth[np.maximum(first - 1, 0)], 0)
        # The first thread of this stretch may go on from the one before.
        base = np.where((first == 0) & (thread == self._thread), -self._depth, base)
        found = depth - base
        self._thread, self._depth = int(thread[-1]), int(found[-1])
        return np.asarray(found > 0)


class _Different:
    """How many different calls there are: rows of one process and id are one call."""

    def __init__(self, processes: int) -> None:
        self._single = np.zeros(processes, np.int64)
        self._twins: list[tuple[Int64, Int64]] = []

    def add(self, part: dict[str, Array], mask: Bool) -> None:
        process, twin = part["process"], (part["flags"] & REPEATED) > 0
        self._single += np.bincount(process[mask & ~twin], minlength=len(self._single))
        twin &= mask
        if twin.any():
            self._twins.append((process[twin], part["correlation"][twin]))

    def counts(self) -> Int64:
        """Shape (processes,)."""
        found = self._single.copy()
        if self._twins:
            process, ids = (np.concatenate(column) for column in zip(*self._twins, strict=True))
            for number, rows in groups(process):
                found[number] += len(np.unique(ids[rows]))
        return found
