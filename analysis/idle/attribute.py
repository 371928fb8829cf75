"""What each nanosecond of idle time waited for: walks the registry of causes over the gaps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool, Code, factorize, groups
from ..model.cuda_calls import host_waits, migrations
from ..model.flag_waits import FLAG
from ..model.intervals import Int64, Intervals, complement, pieces
from ..model.memory import lazy_zeros
from ..model.nesting import Timeline, build_timeline, innermost
from ..model.shown import shown_without
from ..model.trace import EVERY_THREAD, ThreadRows, Trace
from .causes import Cause, GapContext, Phase, causes
from .drains import call_of, drained_by
from .gaps import DeviceGaps, known
from .taken import taken_by

OUTSIDE = "(outside any NVTX range)"

AHEAD = 20_000
"""Before the begin of a gap by so much, ns, a launch has reached the device by then."""


class Attribution(Struct, frozen=True, eq=False, dict=True):
    """Idle time of one device by cause. The columns of `time` sum to the gaps' lengths, checked."""

    causes: tuple[Cause, ...]
    time: Int64
    """Shape (causes, gaps), ns."""
    launch: Int64
    """Shape (gaps,): row of the call that launched the operation after the gap, -1 unknown."""
    launch_start: Int64
    """Shape (gaps,): end of the `before` phase inside the gap, ns; the gap's start where none."""
    drained_by: Int64
    """Shape (gaps,): the wait that let the queue run dry, numbered as in `drains`."""
    ahead: Bool
    """Shape (gaps,): see `ahead_of`."""
    used: tuple[int, ...]
    """Positions of the causes that have any time."""
    timelines: dict[int, Timeline]
    """Thread index to what it did between a gap's start and the launch that ended the gap."""
    skewed: int
    """Gaps whose operation starts before its own launch call: clock skew, clamped."""
    skew_ns: int
    """The largest such skew."""

    def __repr__(self) -> str:
        return shown_without(self, "timelines")

    @cached_property
    def total(self) -> dict[str, int]:
        """Nanoseconds by cause over all gaps, every cause named."""
        return self.by_name(slice(None))

    def by_name(self, gaps: Int64 | slice) -> dict[str, int]:
        """Nanoseconds by cause over some gaps, every cause named."""
        return {
            cause.name: int(self.time[k, gaps].sum()) if k in self.used else 0
            for k, cause in enumerate(self.causes)
        }


def attribute(trace: Trace, gaps: DeviceGaps) -> Attribution:
    """Split every gap of one device by cause, and name what drained the queue before it."""
    registry = causes()
    position = {cause.name: k for k, cause in enumerate(registry)}
    time = lazy_zeros(len(registry), len(gaps))
    given: set[int] = set()
    """Positions of the causes that got any time."""
    launch = known(trace.operations.launch, gaps.after)
    before = known(trace.operations.launch, gaps.before)
    begin, finish, skew = launch_edges(trace, gaps, launch)

    orphans = np.flatnonzero(launch < 0)
    moved = gaps.after[orphans] >= 0
    moved[moved] = migrations(trace.operations, gaps.after[orphans[moved]])
    orphans = orphans[~moved]  # pages that moved by themselves wait for no launch
    followed = gaps.after[orphans] >= 0
    for name, rows in (("tail", orphans[~followed]), ("unknown", orphans[followed])):
        time[position[name], rows] = gaps.length[rows]
        given.add(position[name])
    phases = {
        Phase.BEFORE: begin - gaps.start,
        Phase.LAUNCH: finish - begin,
        Phase.AFTER: gaps.end - finish,
    }
    phases[Phase.AFTER][orphans] = 0
    waiting = np.flatnonzero(phases[Phase.BEFORE])
    by_rows = [c for c in registry if c.rows is not None]
    timelines = {}
    for thread, rows in groups(trace.calls.thread[launch[waiting]]):
        mine = waiting[rows]
        timeline = _timeline(trace, thread, Intervals(gaps.start[mine], begin[mine]))
        timelines[thread] = timeline
        spent = timeline.spent(gaps.start[mine], begin[mine])
        for k, cause in enumerate(by_rows):
            if spent[k].any():
                time[position[cause.name], mine] = spent[k]
                given.add(position[cause.name])
        phases[Phase.BEFORE][mine] -= spent.sum(axis=0)
    contexts: dict[Phase, tuple[Int64, GapContext]] = {}
    for cause in registry:
        if cause.rows is not None or cause.phase is Phase.NONE:
            continue
        left = phases[cause.phase]
        if cause.holds is not None:
            rows, spent = taken_by(cause, trace, gaps.after, finish, gaps.end, left)
            if len(rows):
                time[position[cause.name], rows] += spent
                given.add(position[cause.name])
                left[rows] -= spent
                contexts.pop(cause.phase, None)
            continue
        if cause.claims is None:
            time[position[cause.name]] += left
            given.add(position[cause.name])
            continue
        if cause.phase not in contexts:
            rows = np.flatnonzero(left)
            contexts[cause.phase] = (
                rows,
                GapContext(trace, gaps.after[rows], launch[rows], gaps.before[rows], before[rows]),
            )
        rows, context = contexts[cause.phase]
        taken = rows[cause.claims(context)] if len(rows) else rows
        if len(taken):
            time[position[cause.name], taken] += left[taken]
            given.add(position[cause.name])
            left[taken] = 0
            del contexts[cause.phase]
    total = np.zeros(len(gaps), np.int64)
    for k in given:
        total += time[k]
    assert np.array_equal(total, gaps.length)
    return Attribution(
        causes=registry,
        time=time,
        launch=launch,
        launch_start=begin,
        drained_by=drained_by(trace, gaps, launch),
        ahead=ahead_of(trace, gaps, launch, time),
        used=tuple(sorted(given)),
        timelines=timelines,
        skewed=int(np.count_nonzero(skew > 0)),
        skew_ns=int(skew.max(initial=0)),
    )


def ahead_of(trace: Trace, gaps: DeviceGaps, launch: Int64, time: Int64) -> Bool:
    """Gaps in which the host was ahead of the device: between the nodes of a graph, or before an
    operation that had lain in the queue when the device fell idle. Shape (gaps,).

    `time`: idle time by cause, as in `Attribution`; what of it is the device's own: `own_ns`.
    """
    found: Bool = launch >= 0
    rows = np.flatnonzero(found)
    found[rows] = gaps.start[rows] - trace.calls.end[launch[rows]] >= AHEAD
    rows = rows[launch[rows] == known(trace.operations.launch, gaps.before[rows])]
    found[rows] |= (own_ns(time) == gaps.length)[rows]
    return found


def own_ns(time: Int64) -> Int64:
    """Idle time by gap that is the device's own where the host was ahead of it; shape (gaps,).

    `time`: by cause, as in `Attribution`.
    """
    total = np.zeros(time.shape[1], np.int64)
    for cause, spent in zip(causes(), time, strict=True):
        if cause.holds is not None or cause.name in ("graph", "queue"):
            total += spent
    return total


def launch_edges(trace: Trace, gaps: DeviceGaps, launch: Int64) -> tuple[Int64, Int64, Int64]:
    """(where in each gap its launch began and ended, by how much each gap's clocks disagree).

    A gap without a known launch has both at its start, and no part in the third.
    """
    calls, operations = trace.calls, trace.operations
    rows: Int64 | slice = slice(None)
    if bool((launch < 0).any()):
        rows = np.flatnonzero(launch >= 0)
    call, after = launch[rows], gaps.after[rows]
    if len(call) == 0:
        return gaps.start.copy(), gaps.start.copy(), call
    called = calls.start[call]
    skew = called - operations.start[after]
    # An operation that starts before its launch call was launched as it started.
    called -= np.maximum(skew, 0)
    if isinstance(rows, slice):
        begin, finish = called, calls.end[call]
    else:
        begin, finish = gaps.start.copy(), gaps.start.copy()
        begin[rows], finish[rows] = called, calls.end[call]
    np.clip(begin, gaps.start, gaps.end, out=begin)
    np.clip(finish, begin, gaps.end, out=finish)
    return begin, finish, skew


def _timeline(trace: Trace, thread: int, waits: Intervals) -> Timeline:
    """One thread's time inside the waits by the causes that claim rows, in their order."""
    calls = _touching(trace, thread, waits)
    sets = [c.rows(trace, calls) for c in causes() if c.rows is not None]
    own = [_of_thread(rows, thread) for rows in sets]
    label = np.repeat(np.arange(len(own), dtype=np.int8), [len(o.start) for o in own])
    return build_timeline(
        np.concatenate([o.start for o in own]),
        np.concatenate([o.end for o in own]),
        label,
        len(own),
    )


def _touching(trace: Trace, thread: int, waits: Intervals) -> Int64:
    """Rows of the thread's calls that overlap a wait: most launches of a busy GPU do not."""
    calls = trace.calls
    lo, hi = np.searchsorted(calls.thread, [thread, thread + 1]).tolist()
    reach = np.maximum.accumulate(calls.end[lo:hi])
    begun = host_waits(trace).starts(calls)[lo:hi]
    edges = np.zeros(hi - lo + 1, np.int32)
    np.add.at(edges, np.searchsorted(reach, waits.start, side="right"), 1)
    np.add.at(edges, np.searchsorted(begun, waits.end, side="left"), -1)
    touched: Int64 = np.flatnonzero(np.cumsum(edges[:-1], dtype=np.int32) > 0)
    touched += lo
    return touched


_range_cache: WeakKeyDictionary[Trace, dict[int, tuple[Intervals, Int64]]] = WeakKeyDictionary()


def _of_thread(rows: ThreadRows, thread: int) -> ThreadRows:
    mine = (rows.thread == thread) | (rows.thread == EVERY_THREAD)
    if mine.all():
        return rows
    return ThreadRows(rows.thread[mine], rows.start[mine], rows.end[mine])


_NUMBER = re.compile(r"\d+")


def family(name: str) -> str:
    """`Step 37` and `Step 38` are one family: `Step *`."""
    return _NUMBER.sub("*", name)


def largest_first(total: Mapping[str, int]) -> dict[str, int]:
    """Times above 0 by name, the largest first, equal ones by their name."""
    ordered = sorted(total.items(), key=lambda item: (-item[1], item[0]))
    return {name: ns for name, ns in ordered if ns > 0}


def host_by_range(trace: Trace, gaps: DeviceGaps, attribution: Attribution) -> dict[str, int]:
    """Time with cause `host` by the innermost NVTX range of the launching thread, ns, largest
    first; names that differ in their numbers alone are one family."""
    index = [cause.name for cause in attribution.causes].index("host")
    rows = np.flatnonzero(attribution.time[index] > 0)
    total: Counter[str] = Counter()
    thread = trace.calls.thread[attribution.launch[rows]]
    for own, positions in groups(thread):
        timeline = attribution.timelines[own]
        mine = rows[positions]
        waits = Intervals(gaps.start[mine], attribution.launch_start[mine])
        lo, hi = int(waits.start[0]), int(waits.end[-1])
        free = complement(Intervals(timeline.start, timeline.end), lo, hi)
        start, end, _, _ = pieces(waits, free)
        idle = Intervals(start, end)
        stretches, names = thread_ranges(trace, own)
        begin, stop, _, which = pieces(idle, stretches)
        total[OUTSIDE] += idle.total - int((stop - begin).sum())
        codes, ids = factorize(names[which])
        sums = sum_by_code(codes, stop - begin, len(ids)).tolist()
        for string_id, ns in zip(ids.tolist(), sums, strict=True):
            total[family(trace.strings[string_id])] += ns
    return largest_first(total)


def handoff_threads(trace: Trace, gaps: DeviceGaps, attribution: Attribution) -> dict[str, int]:
    """Time with cause `handoff` by who handed over to whom, ns, largest first."""
    index = [cause.name for cause in attribution.causes].index("handoff")
    rows = np.flatnonzero(attribution.time[index] > 0)
    thread, launch = trace.calls.thread, trace.operations.launch
    first = thread[launch[gaps.before[rows]]].astype(np.int64)
    second, labels = thread[attribution.launch[rows]], [one.label for one in trace.threads]
    total: Counter[str] = Counter()
    for pair, mine in groups(first * len(labels) + second):
        names = (labels[k] for k in divmod(pair, len(labels)))
        total[" → ".join(names)] += int(attribution.time[index, rows[mine]].sum())
    return largest_first(total)


def thread_ranges(trace: Trace, thread: int) -> tuple[Intervals, Int64]:
    """Stretches of a thread by its innermost NVTX range, and that range's string id."""
    cached = _range_cache.setdefault(trace, {})
    if thread not in cached:
        ranges = trace.ranges
        mine = np.flatnonzero((ranges.thread == thread) & (ranges.end_thread == thread))
        stretches, owner = innermost(ranges.start[mine], ranges.end[mine])
        cached[thread] = stretches, ranges.name[mine[owner]]
    return cached[thread]


def seen_at(trace: Trace, waits: Int64) -> Int64:
    """An instant of each of these waits, numbered as in `drains`, ns: where its call began, or the
    last one before its flag changed."""
    at = trace.calls.start[call_of(waits)]
    flagged = np.flatnonzero(waits < -1)
    if len(flagged):
        at[flagged] = host_waits(trace).flags.at(call_of(waits[flagged]))
    return at


def drain_codes(trace: Trace, waits: Int64, names: dict[str, int]) -> Int64:
    """What each of these waits, numbered as in `drains`, is called where it drained the queue:
    `range · call`, or the call alone. Gives its number in `names`, to which new names are added;
    -1 for none."""
    codes = np.full(len(waits), -1, np.int64)
    drained, calls = np.flatnonzero(waits != -1), trace.calls
    told = (*calls.names, FLAG)
    for thread, positions in groups(calls.thread[call_of(waits[drained])]):
        mine = drained[positions]
        at = seen_at(trace, waits[mine])
        stretches, ranges = thread_ranges(trace, thread)
        k = np.searchsorted(stretches.start, at, side="right") - 1
        inside = (k >= 0) & (known(stretches.end, k) > at)
        string, ids = factorize(known(ranges, k))
        # One number for (range, whether there is one, call): ordered as the three are.
        name = np.where(waits[mine] < -1, len(calls.names), calls.name[call_of(waits[mine])])
        keys = (string.astype(np.int64) * 2 + inside) * len(told) + name
        which, distinct = factorize(keys)
        found = []
        for key in distinct.tolist():
            code, name_of = divmod(key, len(told))
            where = f"{family(trace.strings[int(ids[code // 2])])} · " if code % 2 else ""
            found.append(names.setdefault(where + told[name_of], len(names)))
        codes[mine] = np.array(found, np.int64)[which]
    return codes


def sum_by_code(codes: Int64 | Code, ns: Int64, count: int) -> Int64:
    """Nanoseconds by code, shape (count,); those of code -1 are left out."""
    total = np.zeros(count + 1, np.int64)
    np.add.at(total, codes, ns)  # -1 finds the last place
    return total[:-1]


def drained_names(trace: Trace, waits: Int64, ns: Int64) -> dict[str, int]:
    """Idle time by what drained the queue, ns, largest first.

    `waits`: Attribution.drained_by of some gaps; `ns`: the idle time of each.
    """
    names: dict[str, int] = {}
    codes = drain_codes(trace, waits, names)
    return largest_first(dict(zip(names, sum_by_code(codes, ns, len(names)).tolist(), strict=True)))
