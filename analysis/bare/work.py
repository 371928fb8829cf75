"""What keeps each operation of the device from starting earlier, as recorded.

An operation starts at the latest of: so long after its launch, so long after the operation before
it on its stream, and so long after the work of other streams that it was made to wait for. Which of
them it was is told by which comes last with the least times that the trace shows; that one keeps
the time that was recorded, to the nanosecond, and the others get their least.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..gains.constants import FALLBACK
from ..gains.late import LEAST_NS
from ..gains.machine import NEVER
from ..model.arrays import Bool, factorize
from ..model.cuda_calls import GRAPH_LAUNCH, STREAM_WAIT
from ..model.intervals import Int64
from ..model.schema import Kind
from ..model.trace import Trace
from .host import Lines

CLOSE_NS = 10_000
"""An operation that no known call launched follows the one before it within so long, else the host.
"""

_AT_ONCE_NS = 3_000
"""Work that waited for other work starts within so long of its end."""
_UNTOLD_NS = 2_000
"""Work so late waited for something, where the recorder left out what makes streams wait."""


class Held(Struct, frozen=True):
    """An operation starts so long after the start of another, at the earliest. Places of `Work`."""

    place: int
    after: int
    ns: int


class Work(Struct, frozen=True, eq=False):
    """All operations, by stream and start. Arrays have shape (operations,) unless they say
    otherwise; times in ns."""

    row: Int64
    """Of the trace."""
    start: Int64
    duration: Int64
    lane: Int64
    bounds: Int64
    """Where the operations of each stream begin, and the end of the last; shape (streams + 1,)."""
    launch: Int64
    """Row of the launching call; -1 for none."""
    begin: Int64
    """The instant of the host that the operation goes by: the begin of its launch, as a rule; -1
    for none, then it starts when it was recorded."""
    lag: Int64
    """From there to its start at the least; `NEVER` where that does not matter."""
    step: Int64
    """From the start of the operation before it on its stream to its own at the least."""
    node: Bool
    """It follows, on its stream, another operation of its launch."""
    gap: Int64
    """What of `step` is a pause between the two."""
    held: tuple[Held, ...]

    def place_of(self) -> Int64:
        """The place of each row of the trace."""
        found = np.empty(len(self.row), np.int64)
        found[self.row] = np.arange(len(self.row))
        return found


class Waiting(Struct, frozen=True):
    """A stream was made to wait for an operation by a call that began then."""

    lane: int
    called: int
    target: int
    """Row of the operation."""


def lanes_of(trace: Trace) -> tuple[Int64, dict[tuple[int, int], int]]:
    """The stream of each operation as a number from 0, and the number of each (device, stream)."""
    operations = trace.operations
    devices, device = factorize(operations.device.astype(np.int64))
    streams, stream = factorize(operations.stream)
    codes, keys = factorize(devices.astype(np.int64) * max(1, len(stream)) + streams)
    places = {
        (int(device[key // len(stream)]), int(stream[key % len(stream)])): k
        for k, key in enumerate(keys.tolist())
    }
    return codes.astype(np.int64), places


def work_of(
    trace: Trace,
    lines: Lines,
    line: Int64,
    lane: Int64,
    waiting: list[Waiting],
    blocked: Int64,
    submitted: Int64,
    main: int,
) -> Work:
    """`line` of each call, `lane` of each operation; `blocked`: rows of launches that waited for
    room in the queue; `submitted`: when each call had its work on its way; `main`: the line of
    operations that no known call launched."""
    operations, calls = trace.operations, trace.calls
    n = len(operations)
    row = np.lexsort((np.arange(n), operations.start, lane))
    lane, start, end = lane[row], operations.start[row], operations.end[row]
    launch = operations.launch[row]
    bounds = np.searchsorted(lane, np.arange(int(lane.max(initial=-1)) + 2)).astype(np.int64)
    known = launch >= 0
    called = np.where(known, calls.start[np.maximum(launch, 0)], NEVER)
    begin, reference = _references(trace, lines, line, launch, submitted, start, blocked, main)
    reach, previous = _before(start, end, bounds)
    first, node = _first(launch, start, lane)
    on_time = known & (called <= start)
    latency = _latency(trace, row, launch, start - called, reach <= called, first & on_time)
    launched = np.where(on_time, called + latency, np.where(begin >= 0, NEVER + 1, NEVER))
    gap_least = _gaps(start, reach, first, node, launched)
    chained = np.where(reach > NEVER, reach + gap_least, NEVER)
    held, held_until = _held(lane, start, end, called, bounds, waiting, row)
    other, other_until = _of_one_launch(launch, start, lane)
    latest = np.maximum(held_until, other_until)
    inside = start < reach
    by_stream = inside | ((chained >= launched) & (chained >= latest) & (reach > NEVER))
    # What nobody launched, or began before its launch, follows what came just before, or the host.
    by_stream[~on_time] = inside[~on_time] | (chained > NEVER)[~on_time]
    by_stream[~on_time] &= (start - reach <= CLOSE_NS)[~on_time]
    by_other = ~by_stream & (latest > launched)
    by_launch = ~by_stream & ~by_other
    unseen = _unseen(trace, row, start, end, called, lane, by_launch & on_time, launched)
    by_launch[[one.place for one in unseen]] = False
    lag = start - reference
    least = np.minimum(np.maximum(launched - reference, 0), lag)
    lag = np.where(by_launch, lag, np.where(on_time, least, NEVER // 4))
    lag[begin < 0] = 0
    gap = np.where(by_stream, start - reach, np.minimum(gap_least, start - reach))
    gap[inside] = 0
    step = np.where(inside, start - previous, reach - previous + gap)
    step[bounds[:-1]], gap[bounds[:-1]] = 0, 0
    bound = {int(k) for k in np.flatnonzero(by_other)}
    edges = [
        _edge(one, start, one.place in bound and until == latest[one.place])
        for one, until in (*held, *other)
    ]
    edges += unseen
    return Work(
        row, start, end - start, lane, bounds, launch, begin, lag, step, node & ~inside, gap,
        tuple(edges),
    )  # fmt: skip


def _edge(one: Held, start: Int64, exact: bool) -> Held:
    recorded = int(start[one.place] - start[one.after])
    return Held(one.place, one.after, recorded if exact else min(one.ns, recorded))


def _references(
    trace: Trace,
    lines: Lines,
    line: Int64,
    launch: Int64,
    submitted: Int64,
    start: Int64,
    blocked: Int64,
    main: int,
) -> tuple[Int64, Int64]:
    """The instant of a line that each operation goes by, and when that was; -1 for none."""
    if len(lines.time) == 0:
        return np.full(len(start), -1, np.int64), start.copy()
    calls = trace.calls
    known = launch >= 0
    own = np.where(known, line[np.maximum(launch, 0)], main)
    when = np.where(known, np.minimum(submitted[np.maximum(launch, 0)], start), start)
    late = np.isin(launch, blocked) & known
    over = calls.end[np.maximum(launch, 0)]
    when = np.where(late & (over <= start), over, when)
    begin = lines.at(own, when)
    reference = np.where(begin >= 0, lines.time[np.maximum(begin, 0)], start)
    return begin, reference


def _before(start: Int64, end: Int64, bounds: Int64) -> tuple[Int64, Int64]:
    """Until when each operation's stream was busy before it, and when the one before it began."""
    reach, previous = np.full(len(start), NEVER, np.int64), start.copy()
    for low, high in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        reach[low + 1 : high] = np.maximum.accumulate(end[low:high])[:-1]
        previous[low + 1 : high] = start[low : high - 1]
    return reach, previous


def _first(launch: Int64, start: Int64, lane: Int64) -> tuple[Bool, Bool]:
    """Which operations are the first of their launch, and which follow another of it on their
    stream."""
    order = np.lexsort((start, launch))
    first = np.zeros(len(launch), np.bool_)
    first[order] = np.diff(launch[order], prepend=-2) != 0
    node = np.zeros(len(launch), np.bool_)
    node[1:] = (launch[1:] == launch[:-1]) & (lane[1:] == lane[:-1]) & (launch[1:] >= 0)
    return first | (launch < 0), node


def _latency(
    trace: Trace, row: Int64, launch: Int64, delay: Int64, exposed: Bool, first: Bool
) -> Int64:
    """The least time from a launch to its work: of each kind of work the 10 % quantile of those
    that no earlier work held up."""
    operations = trace.operations
    graphs = trace.calls.named({name for name in trace.calls.names if GRAPH_LAUNCH.match(name)})
    kind = operations.kind[row].astype(np.int64) * 64
    kind += np.where(operations.kind[row] == Kind.MEMCPY, operations.copy_kind[row], 0)
    if len(graphs):
        kind[(launch >= 0) & graphs[np.maximum(launch, 0)]] = -1
    samples = first & exposed
    usual = FALLBACK.latency_ns
    if samples.any():
        usual = int(np.quantile(delay[samples], 0.1))
    found = np.full(len(row), usual, np.int64)
    for one in np.unique(kind).tolist():
        mine = kind == one
        some = delay[mine & samples]
        if len(some):
            least = int(np.quantile(some, 0.1))
            # Graphs take their time. Other work that is always far later waited for something.
            found[mine] = least if one < 0 else min(least, usual + LEAST_NS)
    return found


def _gaps(start: Int64, reach: Int64, first: Bool, node: Bool, launched: Int64) -> Int64:
    """What a stream usually needs between two operations: of one launch, and of two."""
    after = (reach > NEVER) & (start >= reach)
    pause = start - np.where(after, reach, start)
    found = np.empty(len(start), np.int64)
    for mine, stand_in in ((node, FALLBACK.node_gap_ns), (~node, FALLBACK.gap_ns)):
        sure = mine & after & (launched < reach)
        found[mine] = int(np.median(pause[sure])) if sure.any() else stand_in
    return found


_Edges = list[tuple[Held, int]]


def _held(
    lane: Int64,
    start: Int64,
    end: Int64,
    called: Int64,
    bounds: Int64,
    waiting: list[Waiting],
    row: Int64,
) -> tuple[_Edges, Int64]:
    """The first operation of a stream that was launched after the stream was made to wait; and of
    each operation until when it was held."""
    until = np.full(len(start), NEVER, np.int64)
    found: _Edges = []
    place = np.empty(len(row), np.int64)
    place[row] = np.arange(len(row))
    reached: dict[int, Int64] = {}
    for one in waiting:
        low, high = int(bounds[one.lane]), int(bounds[one.lane + 1])
        if one.lane not in reached:
            reached[one.lane] = np.maximum.accumulate(called[low:high])
        k = low + int(np.searchsorted(reached[one.lane], one.called, side="right"))
        target = int(place[one.target])
        if k >= high or end[target] > start[k]:
            continue
        passes = int(end[target]) + FALLBACK.event_ns
        until[k] = max(int(until[k]), passes)
        found.append((Held(k, target, passes - int(start[target])), passes))
    return found, until


def _unseen(
    trace: Trace,
    row: Int64,
    start: Int64,
    end: Int64,
    called: Int64,
    lane: Int64,
    launched_late: Bool,
    launched: Int64,
) -> list[Held]:
    """Work that starts much later than its launch and its stream allow, and just when work of
    another stream of its device ends that was launched before it: it waited for that, by an event
    that nobody recorded, or for room on the device."""
    told = bool(trace.calls.named(STREAM_WAIT).any())
    late = launched_late & (start - launched >= (LEAST_NS if told else _UNTOLD_NS))
    found: list[Held] = []
    devices = trace.operations.device[row]
    for device in np.unique(devices[late]).tolist():
        mine = np.flatnonzero(devices == device)
        mine = mine[np.argsort(end[mine], kind="stable")]
        some = np.flatnonzero(late & (devices == device))
        at = np.searchsorted(end[mine], start[some], side="right") - 1
        before = mine[np.maximum(at, 0)]
        fits = (at >= 0) & (lane[before] != lane[some]) & (called[before] < called[some])
        fits &= start[some] - end[before] <= _AT_ONCE_NS
        found += [
            Held(place, after, int(start[place] - start[after]))
            for place, after in zip(some[fits].tolist(), before[fits].tolist(), strict=True)
        ]
    return found


def _of_one_launch(launch: Int64, start: Int64, lane: Int64) -> tuple[_Edges, Int64]:
    """Work of one launch on several streams keeps its order: where the next operation is another
    stream's, it starts as long after the one before it as recorded."""
    until = np.full(len(start), NEVER, np.int64)
    order = np.lexsort((np.arange(len(start)), start, launch))
    order = order[launch[order] >= 0]
    turns = (launch[order][1:] == launch[order][:-1]) & (lane[order][1:] != lane[order][:-1])
    found: _Edges = []
    for k in np.flatnonzero(turns).tolist():
        before, place = int(order[k]), int(order[k + 1])
        until[place] = start[place]
        found.append((Held(place, before, int(start[place] - start[before])), int(start[place])))
    return found, until
