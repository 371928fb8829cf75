"""From a recorded process to what can be played again: who waited for what is `gains`' to find."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..gains.constants import blocked_launches, measure
from ..gains.late import LEAST_NS
from ..gains.loop import Loop
from ..gains.machine import NEVER
from ..gains.read_loop import clocks_of, read_loop
from ..gains.stretch import Stretch
from ..model.cuda_calls import (
    host_waits,
    know_waits,
)
from ..model.intervals import Int64
from ..model.trace import Ranges, Trace
from .costs import Costs, cost_of_calls, graph_nodes
from .host import Lines, TakenOut, Waited, line_of_threads, lines_of, submitted
from .play import Follows, Played, Score, Until, play
from .waits import Ended, LastRows, waited_for
from .work import Waiting, Work, lanes_of, work_of

FOLLOWS_NS = 100_000
"""A thread beside the one that launches most that made no call for longer waited for it."""
BATCH_BYTES = 400 * 10**6
"""What the arrays of costs that are played at once may take."""


class Process(Struct, frozen=True, eq=False):
    """One recorded process, ready to be played without a recorder."""

    trace: Trace
    """Its calls and its work; all the rest of the recording."""
    score: Score
    taken_out: TakenOut
    line: Int64
    """Of each call."""
    line_of_thread: Int64
    main: int
    nodes: Int64
    """Nodes of graphs that each call launched, and that have rows of their own."""

    def played(self, costs: Sequence[Costs]) -> list[Played]:
        """With each of these costs taken out."""
        each = 8 * (4 * len(self.score.lines.time) + 6 * len(self.trace.operations) + 1)
        most = max(1, BATCH_BYTES // each)
        found = []
        for low in range(0, len(costs), most):
            some = costs[low : low + most]
            lengths, steps = zip(*(self._less(one) for one in some), strict=True)
            played = play(self.score, np.stack(lengths), np.stack(steps))
            found += [
                Played(played.time[k : k + 1], played.start[k : k + 1]) for k in range(len(some))
            ]
        return found

    def _less(self, costs: Costs) -> tuple[Int64, Int64]:
        """What is left of the host's stretches, and of what lies between the starts of two
        operations of a stream."""
        work = self.score.work
        inside, outside = cost_of_calls(costs, self.trace.calls, self.nodes)
        length = self.taken_out.lengths(inside, outside, costs.range)
        gap = np.clip(work.gap, 0, costs.node_gap)
        return length, work.step - np.where(work.node, gap, 0)


def read_process(trace: Trace, *, with_ranges: bool) -> Process | None:
    """`trace`: of one process. None where it has no calls, or no work: nothing goes by the other
    then. `with_ranges`: ranges cost something."""
    calls = trace.calls
    if len(calls) == 0 or len(trace.operations) == 0:
        return None
    line = _lines(trace)
    main = _busiest(trace, line)
    loop, blocked = _loop(trace), blocked_launches(trace)
    lane, places = lanes_of(trace)
    waited = waited_for(loop, line, blocked)
    on_way = submitted(trace)
    spans = [one for one, _ in waited]
    lines = lines_of(trace, line, spans, submitted=on_way, with_ranges=with_ranges)
    work = work_of(trace, lines, line, lane, _waiting(loop, places), blocked, on_way, main)
    score = _score(trace, lines, work, waited, main)
    return Process(
        trace, score, TakenOut.of(score.lines), line, line_of_threads(trace, line), main,
        _nodes(trace),
    )  # fmt: skip


def _lines(trace: Trace) -> Int64:
    """The line of each call: threads that take turns share one."""
    calls = trace.calls
    order = np.argsort(calls.start, kind="stable")
    thread = calls.thread[order].astype(np.int64)
    line = np.empty(len(calls), np.int64)
    line[order] = clocks_of(thread, calls.start[order], calls.end[order])
    return line


def _busiest(trace: Trace, line: Int64) -> int:
    """The line that launches most."""
    launch = trace.operations.launch
    count = np.bincount(line[launch[launch >= 0]], minlength=int(line.max()) + 1)
    return int(np.argmax(count))


def _nodes(trace: Trace) -> Int64:
    operations = trace.operations
    mine = (operations.launch >= 0) & graph_nodes(operations)
    count = np.bincount(operations.launch[mine], minlength=len(trace.calls))
    return count.astype(np.int64)


def _loop(trace: Trace) -> Loop:
    """All of the process as one stretch, its ranges left out: nobody asks where a call stands."""
    none = {name: getattr(trace.ranges, name)[:0] for name in Ranges.__struct_fields__}
    bald = replace(trace, ranges=Ranges(**none))
    know_waits(bald, host_waits(trace))
    calls, timing = trace.calls, measure(bald, longest_gap_ns=LEAST_NS).timing
    begin = int(calls.start.min())
    threads = np.unique(calls.thread)
    main = int(np.argmax(np.bincount(calls.thread)))
    stretch = Stretch(
        trace=bald,
        threads=tuple(threads.tolist()),
        main=main,
        begin=begin,
        end=int(max(calls.end.max(), trace.operations.end.max())),
        step_start=np.array([begin], np.int64),
        first=0,
        stop=0,
        running=(),
        without_call=0,
    )
    return read_loop(stretch, timing)


def _waiting(loop: Loop, places: dict[tuple[int, int], int]) -> list[Waiting]:
    """Streams that were made to wait, and for what."""
    operations, rows = loop.stretch.trace.operations, LastRows(loop)
    lanes, first = np.unique(loop.lane, return_index=True)
    keys = {
        lane: (int(operations.device[row]), int(operations.stream[row]))
        for lane, row in zip(lanes.tolist(), loop.row[first].tolist(), strict=True)
    }
    return [
        Waiting(places[keys[one.lane]], int(loop.start[one.action]), rows.last(one.target))
        for one in loop.holds
        if one.target >= 0
    ]


def _score(
    trace: Trace,
    lines: Lines,
    work: Work,
    waited: list[tuple[Waited, Ended]],
    main: int,
) -> Score:
    place, ends = work.place_of(), trace.operations.end
    heads = lines.first[:-1]
    first = set(heads.tolist())
    waits = []
    ends_at = lines.at(
        np.array([one.line for one, _ in waited], np.int64),
        np.array([one.end for one, _ in waited], np.int64),
    )
    for k, (one, ended) in zip(ends_at.tolist(), waited, strict=True):
        if not ended.targets or k < 0 or lines.time[k] != one.end or k in first:
            continue
        over = one.end - max(int(ends[row]) for row in ended.targets)
        held = lines.length[k] < lines.time[k] - lines.time[k - 1]
        ns = over if held else min(over, ended.wake)
        waits.append(Until(k, tuple(int(place[row]) for row in ended.targets), ns))
    instants, reference = _following(lines, main)
    lines.length[instants], lines.keeps[instants], lines.waits[instants] = 0, 0, True
    follows = tuple(
        Follows(k, other, int(lines.time[k] - lines.time[other]))
        for k, other in zip(instants.tolist(), reference.tolist(), strict=True)
    )
    origin = np.where(np.isin(heads, instants), NEVER, lines.time[heads])
    return Score(lines, work, tuple(waits), follows, origin)


def _following(lines: Lines, main: int) -> tuple[Int64, Int64]:
    """Instants of other lines that go by the main one, and the instant of it that each goes by."""
    line = np.repeat(np.arange(len(lines.first) - 1), np.diff(lines.first))
    quiet = (lines.owner < 0) & ~lines.waits & (lines.length >= FOLLOWS_NS)
    quiet[lines.first[:-1]] = True
    found = np.flatnonzero(quiet & (line != main))
    other = lines.at(np.full(len(found), main), lines.time[found])
    return found[other >= 0], other[other >= 0]
