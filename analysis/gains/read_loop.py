"""A recorded loop as arrays: what the host did, call by call, and the work that it queued.

The same loop as `recorded.read_program` reads, in the form that `batch.replay` plays many times at
once. Times of the host between calls, of calls and of operations are the trace's own.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Bool
from ..model.communication import KNOWN, Communication
from ..model.cuda_calls import host_waits
from ..model.intervals import Int64
from ..model.names import operation_names
from ..model.schema import CopyKind, Kind
from ..model.trace import Operations, Trace
from ..readers.range_cpu import RangeCpu
from .calls import TYPICAL_WAIT, own_times
from .constants import blocked_launches
from .late import late_starts
from .loop import CALL, NO_COPY, ON_DEVICE, TO_DEVICE, TO_HOST, Loop, Wait
from .machine import NEVER, Timing
from .ran import ran_in
from .sites import Sites
from .stretch import Stretch
from .waiting import emptying_frees, holding_copies, holds_of, waits_of

IN_TURN = 0.02
"""Share of a thread's calls that may overlap another thread's where the two take turns."""


def read_loop(
    stretch: Stretch,
    timing: Timing,
    cpu: RangeCpu | None = None,
    communication: Communication = KNOWN,
) -> Loop:
    """The stretch as arrays. `timing`: of the machine that it was recorded on; `cpu`: for how long
    threads ran, where somebody noted it; `communication`: what works between ranks."""
    trace = stretch.trace
    calls = trace.calls
    found = host_waits(trace)
    events = _events(trace, timing.wake_ns)
    row, shown, start, end = events
    thread = calls.thread[row].astype(np.int64) if len(row) else row
    clock = clocks_of(thread, start, end)
    held, last = found.held, found.last(calls)
    # The calls of a poll but its last are no actions: the poll is one wait.
    asks_on = shown & (held & ~last)[row] if len(row) else shown
    goes_on = shown & found.goes_on[row] if len(row) else shown
    kept = np.flatnonzero(~asks_on)
    following: Int64 = (
        np.cumsum(~asks_on) - ~asks_on
    )  # of each event: the next one kept, itself if it is
    position = np.full(len(calls), -1, np.int64)
    position[row[shown]] = following[shown]
    sites = Sites(stretch)
    gap_start, gap_end = _between(clock, start, end, stretch.begin, quiet=goes_on | ~shown)
    gap, piece_site, piece_start, piece_ns = sites.pieces(gap_start, gap_end, thread)
    piece_action: Int64 = following[gap]
    played = piece_action < len(kept)
    piece_action, piece_site, piece_start, piece_ns = (
        piece_action[played], piece_site[played], piece_start[played], piece_ns[played],
    )  # fmt: skip
    work = _work(trace.operations, position)
    rows, seen = row[kept], shown[kept]
    count = np.bincount(work.action, minlength=len(kept)).astype(np.int64)
    blocked = np.isin(rows, blocked_launches(trace)) & seen
    keys = _lane_keys(work, stretch)
    site_wall, site_ran = ran_in(stretch, sites, cpu)
    loop = Loop(
        stretch=stretch,
        timing=timing,
        clock=clock[kept],
        step=np.searchsorted(stretch.step_start, start[kept], side="right") - 1,
        start=start[kept],
        before=np.bincount(piece_action, piece_ns, minlength=len(kept)).astype(np.int64),
        length=np.where(seen, (calls.end - calls.start)[rows], 0),
        own=np.zeros(len(kept), np.int64),
        call_row=rows,
        name=np.where(seen, calls.name[rows], -1).astype(np.int64),
        site=sites.at(start[kept], thread[kept]),
        queued=np.cumsum(count) - count,
        count=count,
        piece_action=piece_action,
        piece_site=piece_site,
        piece_ns=piece_ns,
        piece_start=piece_start,
        action=work.action,
        duration=work.end - work.start,
        late=np.zeros(len(work.action), np.int64),
        chained=work.chained,
        lane=np.array([keys[key] for key in work.places], np.int64),
        direction=work.direction,
        pageable=work.pageable,
        talks=_talks(trace, work.row, communication),
        row=work.row,
        recorded_start=work.start,
        recorded_end=work.end,
        running=_running(keys, stretch),
        sites=sites.names,
        site_wall=site_wall,
        site_ran=site_ran,
        clocks=int(clock.max(initial=0)) + 1,
        full=int(blocked.sum()),
    )
    staged, freed = holding_copies(loop, rows), emptying_frees(loop, rows, seen)
    waits = waits_of(loop, rows, seen, keys, staged, freed)
    waited = _waited(loop, waits)
    own = np.zeros(len(kept), np.int64)
    own[seen] = own_times(
        calls, rows[seen], loop.clock[seen], waited[seen], blocked[seen], count[seen] > 0,
        timing.wake_ns + TYPICAL_WAIT,
    )  # fmt: skip
    # When the device is idle, memory is given back: what a call still takes then is its own.
    own[list(freed)] = calls.end[rows[list(freed)]] - np.array(list(freed.values()), np.int64)
    loop = replace(loop, own=own, waits=waits, holds=holds_of(loop, rows, seen, keys))
    return replace(loop, late=late_starts(loop))


def _waited(loop: Loop, waits: Sequence[Wait]) -> Bool:
    """Which actions did wait: a call that waits for a stream or an event may find it done."""
    found = np.zeros(loop.actions, np.bool_)
    for wait in waits:
        until = max((int(loop.recorded_end[k]) for k in wait.targets), default=NEVER)
        begin = int(loop.start[wait.action])
        found[wait.action] = wait.how != CALL or max(until, wait.running) > begin
    return found


def _events(trace: Trace, wake_ns: int) -> tuple[Int64, Bool, Int64, Int64]:
    """Calls, and waits for flags, in order: (row of the call, whether it is one, start, end)."""
    calls, flags = trace.calls, host_waits(trace).flags
    row = np.concatenate((np.arange(len(calls)), flags.call))
    shown = np.repeat([True, False], [len(calls), len(flags.call)])
    start = np.concatenate((calls.start, flags.end))
    end = np.concatenate((calls.end, flags.end + wake_ns))
    order = np.lexsort((shown, start))
    return row[order], shown[order], start[order], end[order]


def clocks_of(thread: Int64, start: Int64, end: Int64) -> Int64:
    """One clock for threads that take turns; one each where they call at the same time."""
    threads, number, count = np.unique(thread, return_inverse=True, return_counts=True)
    if len(threads) < 2:
        return np.zeros(len(thread), np.int64)
    reach = np.maximum.accumulate(end)
    longest = np.maximum.accumulate(np.where(end == reach, np.arange(len(end)), 0))[:-1]
    at_once = np.flatnonzero((number[1:] != number[longest]) & (start[1:] < reach[:-1]))
    overlaps = np.zeros((len(threads), len(threads)), np.int64)
    np.add.at(overlaps, (number[1:][at_once], number[longest][at_once]), 1)
    often = overlaps + overlaps.T > IN_TURN * np.minimum.outer(count, count)
    clock = np.zeros(len(threads), np.int64)
    for k in range(1, len(threads)):
        taken = {int(clock[other]) for other in np.flatnonzero(often[k, :k])}
        clock[k] = next(one for one in range(k + 1) if one not in taken)
    return clock[number]


def _between(
    clock: Int64, start: Int64, end: Int64, begin: int, *, quiet: Bool
) -> tuple[Int64, Int64]:
    """The time before each event in which its host did something else, as `[lo, hi)`; none before
    those that are `quiet`, where the host waited."""
    low, high = start.copy(), start.copy()
    for one in range(int(clock.max(initial=-1)) + 1):
        mine = np.flatnonzero(clock == one)
        reach = np.maximum.accumulate(np.concatenate(([begin], end[mine])))[:-1]
        low[mine] = np.minimum(reach, start[mine])
    low[quiet] = high[quiet]
    return low, high


class _Work(Struct, frozen=True, eq=False):
    """What the actions launched, in launch order."""

    action: Int64
    start: Int64
    end: Int64
    chained: Bool
    direction: Int64
    pageable: Bool
    row: Int64
    places: list[tuple[int, int]]
    """(device, stream) of each."""


def _work(operations: Operations, position: Int64) -> _Work:
    """`position`: of each call among the actions."""
    known = np.flatnonzero(operations.launch >= 0)
    action = position[operations.launch[known]]
    order = np.lexsort((operations.start[known], action))
    row, action = known[order], action[order]
    start, end = operations.start[row], operations.end[row]
    stream, device = operations.stream[row], operations.device[row]
    heads = np.flatnonzero(np.diff(action, prepend=-1))
    # Branches of a graph, and work of one call on several streams: one stretch of work.
    tangled = np.zeros(len(row), np.bool_)
    same = np.diff(action) == 0
    tangled[1:] = same & (
        (start[1:] < end[:-1]) | (stream[1:] != stream[:-1]) | (device[1:] != device[:-1])
    )
    if tangled.any():
        which = np.logical_or.reduceat(tangled, heads)
        whole = np.repeat(which, np.diff(np.append(heads, len(row))))
        end = end.copy()
        end[heads] = np.where(which, np.maximum.reduceat(end, heads), end[heads])
        kept = ~whole
        kept[heads] = True
        row, action, start, end = row[kept], action[kept], start[kept], end[kept]
    chained = np.zeros(len(row), np.bool_)
    chained[1:] = np.diff(action) == 0
    return _Work(
        action, start, end, chained, _directions(operations, row), operations.pageable[row], row,
        list(zip(operations.device[row].tolist(), operations.stream[row].tolist(), strict=True)),
    )  # fmt: skip


def _directions(operations: Operations, row: Int64) -> Int64:
    kind, copy = operations.kind[row], operations.copy_kind[row]
    direction = np.full(len(row), ON_DEVICE)
    direction[(copy == CopyKind.HTOD) | (copy == CopyKind.HTOA)] = TO_DEVICE
    direction[(copy == CopyKind.DTOH) | (copy == CopyKind.ATOH)] = TO_HOST
    direction[kind != Kind.MEMCPY] = NO_COPY
    return direction


def _talks(trace: Trace, row: Int64, communication: Communication) -> Bool:
    """Which operations are communication between ranks."""
    codes, names = operation_names(trace, row)
    talks: Bool = communication.which(names or [""])[codes]
    talks &= trace.operations.kind[row] != Kind.MEMCPY
    return talks


def _lane_keys(work: _Work, stretch: Stretch) -> dict[tuple[int, int], int]:
    """(device, stream) to lane."""
    used = dict.fromkeys(work.places) | dict.fromkeys((d, s) for d, s, _ in stretch.running)
    return {place: k for k, place in enumerate(sorted(used))}


def _running(keys: dict[tuple[int, int], int], stretch: Stretch) -> Int64:
    until = np.full(len(keys), NEVER, np.int64)
    for device, stream, end in stretch.running:
        until[keys[device, stream]] = end
    return until
