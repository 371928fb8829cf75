"""How causes are told apart: by what a thread was doing, or by what lies around a gap."""

from __future__ import annotations

import numpy as np

from ...model.arrays import Bool, factorize
from ...model.cuda_calls import (
    HOST_FUNCTION,
    OUTSIDE_WAIT,
    allocating,
    host_waits,
    migrations,
    named,
    synchronizing,
    thread_rows,
)
from ...model.intervals import Int64
from ...model.schema import MAX_TIME, QUEUE_FULL
from ...model.trace import EVERY_THREAD, ThreadRows, Trace
from ...store.opened import Store
from ..gaps import known
from ..held import held_within, traced_functions
from ..waits import behind_waits, ended_elsewhere
from .base import GapContext

NOT_THE_PROFILERS = QUEUE_FULL | {
    "Driver Compiler", "Lazy Function Loading", "Runtime Triggered Module Loading",
}  # fmt: skip
"""CUPTI files these under overhead, but the program would meet them without a profiler too: a
launch queue that is full, and a kernel's code compiled or loaded on first use."""


LONGEST_LATENCY = 100_000
"""From the end of a launch call, and of the work before, to the start of the work, ns: a launch
takes some microseconds, and tens of them where a graph is large."""

# What threads were doing: `Cause.rows`


def profiler_rows(trace: Trace | Store, calls: Int64 | None = None) -> ThreadRows:
    """The profiler's own work."""
    del calls  # the profiler's rows are not calls
    overheads = trace.overheads
    codes, ids = factorize(overheads.name)
    own = np.array([trace.strings[i] not in NOT_THE_PROFILERS for i in ids.tolist()], np.bool_)
    mask = own[codes] if len(ids) else np.zeros(0, np.bool_)
    mask &= (overheads.thread >= 0) | (overheads.thread == EVERY_THREAD)
    return ThreadRows(overheads.thread[mask], overheads.start[mask], overheads.end[mask])


def allocator_rows(trace: Trace, calls: Int64) -> ThreadRows:
    """Device and pinned memory being allocated or freed."""
    return thread_rows(trace.calls, calls[allocating(trace.calls, calls)])


def sync_rows(trace: Trace, calls: Int64) -> ThreadRows:
    """The host waiting for the GPU, while the GPU had nothing to do."""
    waits = host_waits(trace)
    rows = thread_rows(trace.calls, calls[waits.held[calls]], waits.starts(trace.calls))
    flags = waits.flags
    if len(flags.call) == 0:
        return rows
    return ThreadRows(
        np.concatenate((rows.thread, trace.calls.thread[flags.call])),
        np.concatenate((rows.start, flags.start)),
        np.concatenate((rows.end, flags.end)),
    )


def api_rows(trace: Trace, calls: Int64) -> ThreadRows:
    """Any other CUDA API call."""
    others = ~(allocating(trace.calls, calls) | synchronizing(trace)[calls])
    return thread_rows(trace.calls, calls[others])


# What lies around a gap: `Cause.claims`


def handed_over(context: GapContext) -> Bool:
    """Another thread of the process launched the work before the gap; this one had not begun."""
    calls = context.trace.calls
    claimed = np.zeros(len(context.launch), np.bool_)
    rows = np.flatnonzero(context.launch_before >= 0)
    launch, earlier = context.launch[rows], context.launch_before[rows]
    changed = calls.thread[launch] != calls.thread[earlier]
    changed &= calls.process[launch] == calls.process[earlier]
    rows, launch, earlier = rows[changed], launch[changed], earlier[changed]
    # Calls are sorted by (thread, start): the row above the launch is its thread's previous call.
    previous = np.maximum(launch - 1, 0)
    quiet = (
        (launch == 0)
        | (calls.thread[previous] != calls.thread[launch])
        | (calls.start[previous] < calls.start[earlier])
    )
    claimed[rows[quiet]] = True
    return claimed


def migrating(context: GapContext) -> Bool:
    """Pages of managed memory move at one end of the gap."""
    operations = context.trace.operations
    claimed = migrations(operations, context.after)
    claimed |= migrations(operations, context.before) & (context.before >= 0)
    return claimed


def same_launch(context: GapContext) -> Bool:
    """Both sides of the gap are nodes of one CUDA graph launch."""
    same: Bool = context.launch == context.launch_before
    return same


def held_back(context: GapContext) -> Bool:
    """Launched, and held back by something the trace shows: another device, a host function, a
    value in memory or a semaphore that a stream waits for."""
    claimed: Bool = context.trace.operations.peer[context.after]
    behind = np.flatnonzero(behind_waits(context.trace)[context.after] & ~claimed)
    claimed[behind] = ended_elsewhere(context.trace, context.before[behind], context.after[behind])
    claimed |= _after_holding_call(context.trace, context.launch)
    return claimed


def stalled(context: GapContext) -> Bool:
    """Launched, and not started for longer than any launch takes."""
    operations, calls = context.trace.operations, context.trace.calls
    free = np.where(context.before >= 0, known(operations.end, context.before), -MAX_TIME)
    since = np.maximum(calls.end[context.launch], free)
    until = operations.start[context.after]
    unexplained = until - since
    if len(context.trace.holds):
        unexplained -= held_within(context.trace, context.after, since, until)
    claimed: Bool = unexplained > LONGEST_LATENCY
    return claimed


def _after_holding_call(trace: Trace, launch: Int64) -> Bool:
    """Is such a call the last thing queued by the same thread before this launch? Where the host
    functions of a process were recorded, their rows say what waited for them, and not the call."""
    calls = trace.calls
    function = named(calls.names, HOST_FUNCTION.__contains__)
    outside = named(calls.names, OUTSIDE_WAIT.match)
    if not (function | outside).any():
        return np.zeros(len(launch), np.bool_)
    previous = np.maximum(launch - 1, 0)
    same: Bool = (launch > 0) & (calls.thread[previous] == calls.thread[launch])
    guessed = function[calls.name[previous]]
    if len(trace.holds):
        guessed &= ~traced_functions(trace)[calls.process[previous]]
    return same & (outside[calls.name[previous]] | guessed)
