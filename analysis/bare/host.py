"""The time of the threads that call, cut at the edges of their calls: what can be taken out where.

Threads that take turns share a line. Each line is a row of instants, `Lines.time`, and the stretch
before each belongs to the call that is innermost there, or to what the host does between calls. A
wait is one stretch, whatever it holds: it ends when what it waits for is over.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..gains.constants import FALLBACK
from ..model.arrays import Bool
from ..model.intervals import Int64
from ..model.nesting import innermost
from ..model.schema import MAX_TIME
from ..model.trace import Calls, Trace
from .costs import graph_nodes

FLOOR_NS = 300
"""A call keeps as much of its length, or all of it if it is shorter."""


class Waited(Struct, frozen=True):
    """A stretch in which a thread waited, ns."""

    start: int
    end: int
    line: int
    own: int
    """What it takes when there is nothing to wait for."""
    call: int
    """Row of the call that ends with it; -1 where no call shows it."""


class Lines(Struct, frozen=True, eq=False):
    """All lines, one behind the other. Arrays have shape (instants,) unless they say otherwise."""

    first: Int64
    """Where each line begins, and the end of the last; shape (lines + 1,)."""
    time: Int64
    """As recorded, ns; ascends on each line."""
    length: Int64
    """Of the stretch that ends there, waits left out, ns; 0 where a line begins."""
    keeps: Int64
    """What stays of it whatever a recorder costs, ns."""
    owner: Int64
    """The call that the stretch is part of; -1 for none."""
    waits: Bool
    """The stretch is a wait."""
    launches: Bool
    """The stretch is a wait in which another call begins."""
    pushed: Int64
    """How many ranges opened, or closed, where the stretch begins."""
    closed: Int64
    calls_end: Int64
    """Of each call, the instant at which it ends; -1 where that lies within a wait. (calls,)"""

    def at(self, line: Int64, time: Int64) -> Int64:
        """The last instant of a line at or before each time; -1 where it lies before the line."""
        found = np.full(len(time), -1, np.int64)
        for one in np.unique(line).tolist():
            mine = np.flatnonzero(line == one)
            low, high = int(self.first[one]), int(self.first[one + 1])
            place = np.searchsorted(self.time[low:high], time[mine], side="right") - 1
            found[mine] = np.where(place >= 0, low + place, -1)
        return found


def lines_of(
    trace: Trace, line: Int64, waited: list[Waited], *, submitted: Int64, with_ranges: bool
) -> Lines:
    """`line`: of each call, from 0; `submitted`: of each call, see `submitted`; `with_ranges`:
    instants at the edges of ranges too."""
    calls = trace.calls
    thread_line = line_of_threads(trace, line)
    parts = [
        _line(
            trace,
            one,
            line,
            thread_line,
            [w for w in waited if w.line == one],
            submitted,
            with_ranges,
        )
        for one in range(int(line.max(initial=-1)) + 1)
    ]
    first = np.concatenate(([0], np.cumsum([len(part.time) for part in parts]))).astype(np.int64)
    ends = np.full(len(calls), -1, np.int64)
    for part, low in zip(parts, first.tolist(), strict=False):
        ends[part.calls] = np.where(part.calls_end >= 0, low + part.calls_end, -1)
    names = ("time", "length", "keeps", "owner", "waits", "launches", "pushed", "closed")
    columns = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    return Lines(first=first, calls_end=ends, **columns)


def submitted(trace: Trace) -> Int64:
    """When each call had its work on its way, ns: a launch of a graph whose nodes are recorded is
    held up first, as far as the start of its work allows; all others begin with it. (calls,)"""
    operations, calls = trace.operations, trace.calls
    found = calls.start.copy()
    nodes = (operations.launch >= 0) & graph_nodes(operations)
    first = np.full(len(calls), MAX_TIME, np.int64)
    np.minimum.at(first, operations.launch[nodes], operations.start[nodes] - FALLBACK.latency_ns)
    launches = np.flatnonzero(first < MAX_TIME)
    found[launches] = np.clip(first, calls.start, np.maximum(calls.end, calls.start))[launches]
    return found


def line_of_threads(trace: Trace, line: Int64) -> Int64:
    """The line of each thread; of those that never call, the one with most calls. (threads,)"""
    count = np.bincount(line, minlength=1)
    found = np.full(len(trace.threads), int(np.argmax(count)), np.int64)
    found[trace.calls.thread] = line
    return found


class _Line(Struct, frozen=True, eq=False):
    calls: Int64
    calls_end: Int64
    time: Int64
    length: Int64
    keeps: Int64
    owner: Int64
    waits: Bool
    launches: Bool
    pushed: Int64
    closed: Int64


def _line(
    trace: Trace,
    one: int,
    line: Int64,
    thread_line: Int64,
    waited: list[Waited],
    submitted: Int64,
    with_ranges: bool,
) -> _Line:
    calls = trace.calls
    rows = np.flatnonzero(line == one)
    start, end = calls.start[rows], calls.end[rows]
    low = np.array([w.start for w in waited], np.int64)
    high = np.array([w.end for w in waited], np.int64)
    edges = [start, end, low, high, submitted[rows]]
    opened = closed = np.empty(0, np.int64)
    if with_ranges:
        ranges = trace.ranges
        mine = (thread_line[ranges.thread] == one) & ~ranges.unclosed
        mine &= (ranges.start >= start.min()) & (ranges.end <= end.max())
        opened, closed = np.sort(ranges.start[mine]), np.sort(ranges.end[mine])
        edges += [opened, closed]
    time = np.sort(np.concatenate(edges))
    time = time[np.diff(time, prepend=time[0] - 1) > 0]
    time = time[~_within(time, low, high)]
    length = np.diff(time, prepend=time[:1])
    owner = _owners(calls, rows, time)
    keeps = np.where(owner >= 0, np.minimum(length, FLOOR_NS), 0)
    waits, launches = np.zeros(len(time), np.bool_), np.zeros(len(time), np.bool_)
    begins = np.sort(start)
    for wait in waited:
        k = int(np.searchsorted(time, wait.end))
        if k == 0 or k == len(time) or time[k] != wait.end:
            continue  # it lies within another
        waits[k] = True
        length[k] = min(int(length[k]), wait.own)
        owner[k] = wait.call
        keeps[k] = min(int(length[k]), FLOOR_NS) if wait.call >= 0 else int(length[k])
        inner = np.searchsorted(begins, [int(time[k - 1]) + 1, wait.end])
        launches[k] = inner[1] > inner[0]
    at = np.searchsorted(time, end)
    known = (at < len(time)) & (time[np.minimum(at, len(time) - 1)] == end)
    return _Line(
        rows, np.where(known, at, -1), time, length, keeps, owner, waits, launches,
        _counted(time, opened), _counted(time, closed),
    )  # fmt: skip


def _counted(time: Int64, edges: Int64) -> Int64:
    """How many of these edges stand where each stretch begins."""
    found = np.zeros(len(time), np.int64)
    if len(edges):
        found[1:] = np.diff(np.searchsorted(edges, time, side="left"))
    return found


def _within(time: Int64, low: Int64, high: Int64) -> Bool:
    """Which instants lie inside one of these spans, their edges left out."""
    found = np.zeros(len(time), np.bool_)
    if len(low):
        deep = np.zeros(len(time) + 1, np.int64)
        first = np.searchsorted(time, low, side="right")
        last = np.searchsorted(time, high, side="left")
        inner = last > first
        np.add.at(deep, first[inner], 1)
        np.add.at(deep, last[inner], -1)
        found = np.cumsum(deep[:-1]) > 0
    return found


def _owners(calls: Calls, rows: Int64, time: Int64) -> Int64:
    """The innermost call of the stretch that ends at each instant; -1 for none."""
    found = np.full(len(time), -1, np.int64)
    order = rows[np.lexsort((-calls.end[rows], calls.start[rows]))]
    spans, owner = innermost(calls.start[order], calls.end[order])
    if len(spans) and len(time) > 1:
        k = np.searchsorted(spans.start, time[:-1], side="right") - 1
        hit = (k >= 0) & (spans.end[np.maximum(k, 0)] > time[:-1])
        found[1:] = np.where(hit, order[owner[np.maximum(k, 0)]], -1)
    return found


class TakenOut(Struct, frozen=True, eq=False):
    """How to take costs out of the stretches of some lines, worked out once for all costs."""

    lines: Lines
    order: Int64
    """Stretches of calls, by call and time."""
    before: Int64
    """What can be taken out of the same call's stretches before each of these, with it, and out of
    all of them, ns."""
    upto: Int64
    all: Int64

    @classmethod
    def of(cls, lines: Lines) -> TakenOut:
        owned = np.flatnonzero(lines.owner >= 0)
        order = owned[np.argsort(lines.owner[owned], kind="stable")]
        room = (lines.length - lines.keeps)[order]
        upto = np.cumsum(room)
        head = np.flatnonzero(np.diff(lines.owner[order], prepend=-1))
        sizes = np.diff(np.append(head, len(order)))
        upto -= np.repeat(upto[head] - room[head], sizes)
        whole = np.repeat(upto[head + sizes - 1], sizes)
        return cls(lines, order, upto - room, upto, whole)

    def lengths(self, inside: Int64, outside: Int64, range_ns: int) -> Int64:
        """What is left of each stretch, ns; shape (instants,). `inside`, `outside`: what each call
        costs; what it costs inside is spread over its own time."""
        lines = self.lines
        less = np.zeros(len(lines.time), np.int64)
        owner = lines.owner[self.order]
        taken, whole = np.minimum(inside[owner], self.all), np.maximum(self.all, 1)
        less[self.order] = taken * self.upto // whole - taken * self.before // whole
        after = np.zeros(len(lines.time) + 1, np.int64)
        ended = np.flatnonzero(lines.calls_end >= 0)
        np.add.at(after, lines.calls_end[ended] + 1, outside[ended])
        after = after[:-1]
        after += lines.pushed * (range_ns - range_ns // 2) + lines.closed * (range_ns // 2)
        after[lines.first[:-1]] = 0
        less += np.clip(lines.length - lines.keeps - less, 0, after)
        return lines.length - less
