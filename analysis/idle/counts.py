"""What the verdicts need to know of all rows of a trace."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..model.arrays import Bool
from ..model.intervals import Int64
from ..model.schema import MAX_TIME, NULL, UNKNOWN_CALL, Kind
from ..model.trace import Strings, Trace
from .attribute import family

LAUNCH = re.compile(
    r"(cuda|hip)(Launch(Cooperative)?Kernel|GraphLaunch)|cu(LaunchKernel|GraphLaunch)"
    r"|hip(Ext|ExtModule|HccModule|Module)Launch"
)

KINDS = (
    (Kind.MEMCPY, "copies", re.compile(r"(cuda|hip|cu)Memcpy")),
    (Kind.MEMSET, "memsets", re.compile(r"(cuda|hip|cu)Memset")),
)
"""Which calls make which operations. One such call may leave no row (of no bytes, or from host to
host), but hardly all of them."""

CAPTURE_BEGINS = frozenset({"cudaStreamBeginCapture", "cuStreamBeginCapture"})
CAPTURE_ENDS = frozenset({"cudaStreamEndCapture", "cuStreamEndCapture"})

LOOKED_AT = 100_000
"""Ranges whose names are counted to propose a step pattern."""
_SHOWN = 60
"""Characters of a proposed pattern."""


@dataclass(frozen=True)
class Counted:
    """What the verdicts need to know of all rows of a trace."""

    operations: int
    calls: int
    graphs: int
    """CUDA graphs recorded whole."""
    missing: int
    """Launches without GPU rows."""
    launches: int
    ranges: tuple[tuple[str, int], ...]
    """The commonest families of NVTX ranges, and how many of the first ones are theirs."""
    nameless: tuple[str, ...] = ()
    """Which rows refer to names that the export does not hold."""
    unseen: tuple[tuple[str, int], ...] = ()
    """Copies or memsets where the trace holds none, and how many calls asked for them."""


def count_rows(trace: Trace) -> Counted:
    """Count them in a trace that is in memory."""
    calls, sound, matched = trace.calls, _sound(trace), _matched(trace)
    launching = _matching(trace, LAUNCH) & sound
    last = _last_seen(trace, launching & matched)
    missing, launches = missing_gpu_rows(trace, launching, matched, last)

    def calls_for(wanted: re.Pattern[str]) -> int:
        rows = np.flatnonzero(_matching(trace, wanted) & sound)
        return int(np.count_nonzero(calls.start[rows] <= last[calls.process[rows]]))

    present = set(np.unique(trace.operations.kind).tolist())
    return Counted(
        operations=len(trace.operations),
        calls=len(calls),
        graphs=int(np.count_nonzero(trace.operations.kind == Kind.GRAPH)),
        missing=missing,
        launches=launches,
        ranges=common_ranges(trace.ranges.name[:LOOKED_AT], trace.strings),
        nameless=nameless(
            calls.names,
            trace.operations.name[:LOOKED_AT],
            (trace.ranges.name,),
            trace.strings,
        ),
        unseen=unseen(present, calls_for),
    )


def unseen(
    present: set[int], calls_for: Callable[[re.Pattern[str]], int]
) -> tuple[tuple[str, int], ...]:
    """`Counted.unseen`, of the kinds of operation that are there and a count of calls."""
    absent = [(what, calls_for(pattern)) for kind, what, pattern in KINDS if kind not in present]
    return tuple((what, count) for what, count in absent if count)


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


def common_ranges(names: Int64, strings: Strings) -> tuple[tuple[str, int], ...]:
    """The commonest families of these names (string ids), and their number."""
    ids, first, count = np.unique(names, return_index=True, return_counts=True)
    order = np.argsort(first)  # of equally common ones the first goes first
    ranges: Counter[str] = Counter()
    for string_id, number in zip(ids[order].tolist(), count[order].tolist(), strict=True):
        ranges[_wildcard(strings[string_id])] += number
    return tuple(ranges.most_common(3))


def _wildcard(name: str) -> str:
    """What `--step` takes for this name and its family: a long name is cut at a star."""
    text = family(name)
    text = text if len(text) <= _SHOWN else text[: _SHOWN - 1].rstrip("*") + "*"
    return text.replace("[", "[[]")  # else it would begin a set of characters


def missing_gpu_rows(trace: Trace, launches: Bool, matched: Bool, last: Int64) -> tuple[int, int]:
    """(launches without GPU rows, launches): kernel and graph launches only.

    Left out: failed calls, launches under stream capture, duplicate API rows, and the launches
    after the last one that was seen to run: their work was still queued when recording ended.
    """
    calls = trace.calls
    missing = total = 0
    for process, end in enumerate(last.tolist()):
        rows = np.flatnonzero(launches & (calls.process == process) & (calls.start <= end))
        seen = rows[matched[rows]]
        unique, found = len(rows), len(seen)
        if trace.duplicate_calls:
            # A repeated API row shares the correlationId of the one that was matched.
            unique = len(np.unique(calls.correlation[rows]))
            found = len(np.unique(calls.correlation[seen]))
        total += unique
        missing += unique - found
    return missing, total


def _matching(trace: Trace, wanted: re.Pattern[str]) -> Bool:
    """Calls of these names."""
    return trace.calls.named({name for name in trace.calls.names if wanted.match(name)})


def _sound(trace: Trace) -> Bool:
    """Calls that succeeded outside a stream capture."""
    calls = trace.calls
    return ~calls.failed & (calls.correlation > 0) & ~_under_capture(trace)


def _matched(trace: Trace) -> Bool:
    """Calls that launched an operation which is there."""
    launch = trace.operations.launch
    matched = np.zeros(len(trace.calls), np.bool_)
    matched[launch[launch >= 0]] = True
    return matched


def _last_seen(trace: Trace, seen: Bool) -> Int64:
    """Of each process, the start of the last of these calls.

    A process without any has lost what it launched while others were seen to work.
    """
    end = int(trace.operations.end.max(initial=-MAX_TIME))
    last = np.full(len(trace.processes), -MAX_TIME)
    np.maximum.at(last, trace.calls.process[seen], trace.calls.start[seen])
    some = np.bincount(trace.calls.process[seen], minlength=len(trace.processes)) > 0
    return np.where(some, last, end)


def _under_capture(trace: Trace) -> Bool:
    """Calls made between cudaStreamBeginCapture and EndCapture of their thread."""
    calls = trace.calls
    begins = calls.named(CAPTURE_BEGINS) & ~calls.failed
    ends = calls.named(CAPTURE_ENDS)
    if not begins.any():
        return np.zeros(len(calls), np.bool_)
    depth = np.cumsum(begins.astype(np.int64) - ends.astype(np.int64))
    first = np.searchsorted(calls.thread, np.arange(len(trace.threads)))
    base = np.where(first > 0, depth[np.maximum(first - 1, 0)], 0)
    return np.asarray(depth - base[calls.thread] > 0)
