"""Which call has a (process, correlationId), for more calls than fit in memory."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from msgspec import Struct

from ..model.arrays import FirstMatch, distinct_rows, stretches
from ..model.intervals import Int64
from ..model.repeated_ids import NearestMatch
from .folder import Array, forget

_SAMPLED = 64


class Side(Struct, frozen=True):
    """Rows to be joined: columns of equal length, on disk or in memory."""

    process: Array
    correlation: Array
    start: Array


class CallSide(Side, frozen=True):
    """The calls, with what tells apart those of one id."""

    end: Array
    thread: Array


def join_calls(
    calls: CallSide,
    processes: int,
    most: int,
    asking: list[tuple[Side, Array]],
    repeated: Callable[[Int64], None],
) -> int:
    """Fill, for each asking side, the row of its call, -1 where none; of several the last that
    began before, see `NearestMatch`.

    Ids are gone through by ranges, so that about `most` calls are in memory at once. `repeated`
    is told the rows that share a positive id. Returns how many rows repeat one.
    """
    for _, result in asking:
        result[:] = -1
    repeats = 0
    for process in range(processes):
        for low, high in _ranges(calls, process, most):
            rows, ids = _chosen(calls, process, low, high, most)
            if len(rows) == 0:
                continue
            first = FirstMatch(ids)
            mine = first.find(ids)
            again = np.flatnonzero((mine != np.arange(len(ids))) & (ids > 0))
            repeats += len(again)
            repeated(rows[again])
            repeated(rows[mine[again]])
            shared = rows[distinct_rows(again, mine[again])]
            nearest = NearestMatch(
                shared,
                calls.correlation[shared].astype(np.int64),
                calls.start[shared].astype(np.int64),
                calls.end[shared].astype(np.int64),
                calls.thread[shared],
            )
            for side, result in asking:
                for part in stretches(len(side.process), most):
                    here = np.flatnonzero(side.process[part] == process)
                    wanted = side.correlation[part][here].astype(np.int64)
                    inside = (wanted >= low) & (wanted < high) & (wanted > 0)
                    here, wanted = here[inside], wanted[inside]
                    found = first.find(wanted)
                    hit = found >= 0
                    here, wanted, call = here[hit], wanted[hit], rows[found[hit]]
                    if len(shared):
                        at = side.start[part][here].astype(np.int64)
                        call = nearest.choose(call, wanted, at)
                    result[part.start + here] = call
                    forget(side.process, side.correlation, side.start, result)
    return repeats


def _ranges(calls: Side, process: int, most: int) -> list[tuple[int, int]]:
    """Half-open ranges of ids that hold about `most` calls of a process each."""
    sample = np.asarray(calls.correlation[::_SAMPLED][calls.process[::_SAMPLED] == process])
    count = len(sample) * _SAMPLED
    edges: list[int] = []
    if count > most:
        parts = -(-count // most)
        inner = np.sort(sample)[np.arange(1, parts) * len(sample) // parts]
        edges = np.unique(inner).tolist()
    edges = [-(2**63), *edges, 2**63 - 1]
    return list(pairwise(edges))


def _chosen(calls: Side, process: int, low: int, high: int, most: int) -> tuple[Int64, Int64]:
    """(rows, ids) of the calls of a process whose id lies in the range."""
    rows, ids = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part in stretches(len(calls.process), most):
        here = np.flatnonzero(calls.process[part] == process)
        found = calls.correlation[part][here].astype(np.int64)
        inside = (found >= low) & (found < high)
        rows.append(part.start + here[inside])
        ids.append(found[inside])
        forget(calls.process, calls.correlation)
    return np.concatenate(rows), np.concatenate(ids)
