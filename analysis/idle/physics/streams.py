"""A stream runs its operations one after the other.

Two of them may overlap by programmatic dependent launch: a kernel launched with attributes begins
before the kernel ahead of it has ended, and ends after it. The nodes of one graph launch are not
compared either: branches of a graph run at once, and a recorder may file them under one stream; so
it may those of two graphs that run at once, and they are not compared.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool
from ...model.cuda_calls import managed, named
from ...model.intervals import Int64
from ...model.schema import Kind
from ...store.folder import Array

WITH_ATTRIBUTES = re.compile("LaunchKernelEx")
"""Launches that can ask for programmatic dependent launch."""
MARGIN = 1_000
"""Overlap of two operations that is no error, ns: old files have whole microseconds."""
GRAPH = 32
"""Bits of a node's id below the id of its graph."""

_KEY = ("process", "device", "stream")
_KEPT = (*_KEY, "start", "end", "kind", "launch", "node", "early", "counted")


class Overlap(Struct, frozen=True):
    """Operations that still run when the next of their stream has begun."""

    operations: int = 0
    ns: int = 0
    """How long they do, from where the next one began."""
    of_ns: int = 0
    """How long all operations took."""

    @property
    def share(self) -> float:
        return self.ns / self.of_ns if self.of_ns else 0.0


class StreamOrder:
    """Adds up the parts of a trace. Keeps one operation of each stream."""

    def __init__(self, names: tuple[str, ...]) -> None:
        self._early = named(names, WITH_ATTRIBUTES.search)
        self._operations = self._ns = self._of_ns = 0
        self._carried: dict[str, Array] | None = None

    def add(self, rows: dict[str, Array], call_name: Array) -> None:
        """`rows`: sorted by start; `call_name`: of the launch of each, -1 where it is unknown."""
        paged = managed(rows["copy_kind"])
        if paged.any():  # pages of managed memory are queued on no stream
            rows, call_name = {n: rows[n][~paged] for n in rows}, call_name[~paged]
        start, end = rows["start"], rows["end"]
        if len(start) == 0:
            return
        self._of_ns += int((end - start).sum())
        # A launch that nobody recorded may have asked for anything.
        early = np.where(call_name >= 0, self._early[call_name], True)
        rows = rows | {"early": early, "counted": np.zeros(len(start), np.bool_)}
        rows = {name: rows[name] for name in _KEPT}
        if self._carried is not None:
            before = self._carried
            rows = {name: np.concatenate((before[name], rows[name])) for name in _KEPT}
        reach = np.maximum.accumulate(rows["end"])
        if (rows["start"][1:] >= reach[:-1]).all():
            # Nothing runs at once, on whatever streams: only the last row can meet a later one.
            self._carried = {name: column[-1:] for name, column in rows.items()}
            return
        fresh = np.arange(len(rows["start"])) >= len(rows["start"]) - len(start)
        group, order = _grouped(rows)
        rows = {name: column[order] for name, column in rows.items()}
        owner = _furthest(group, rows["end"])
        self._compare(rows, owner, fresh[order])
        last = np.flatnonzero(np.append(group[1:] != group[:-1], True))
        furthest = np.where(rows["end"][last] >= rows["end"][owner[last]], last, owner[last])
        self._carried = {name: column[furthest] for name, column in rows.items()}

    def _compare(self, rows: dict[str, Array], owner: Int64, fresh: Bool) -> None:
        """`owner`: of each row the one before it in its stream that reached furthest."""
        at = np.flatnonzero(fresh & (owner != np.arange(len(owner))))
        first = owner[at]
        reach, end = rows["end"][first], rows["end"][at]
        overlap = np.minimum(reach, end) - rows["start"][at]
        kernels = (rows["kind"][at] == Kind.KERNEL) & (rows["kind"][first] == Kind.KERNEL)
        allowed = kernels & (end > reach) & rows["early"][at]
        launch = rows["launch"][at]
        allowed |= (launch >= 0) & (launch == rows["launch"][first])
        graph, other = (np.abs(rows["node"][of].astype(np.int64)) >> GRAPH for of in (at, first))
        allowed |= (graph > 0) & (other > 0) & (graph != other)
        wrong = np.flatnonzero((overlap > MARGIN) & ~allowed & ~rows["counted"][first])
        # Once for each that still runs: where the first one behind it began.
        late, which = np.unique(first[wrong], return_index=True)
        self._operations += len(late)
        self._ns += int((rows["end"][late] - rows["start"][at[wrong[which]]]).sum())
        rows["counted"][late] = True

    def result(self) -> Overlap:
        return Overlap(self._operations, self._ns, self._of_ns)


def _grouped(rows: dict[str, Array]) -> tuple[Int64, Int64]:
    """(number of the stream of each row in order, the order): by stream, else as they stand."""
    keys: list[Any] = [rows[name] for name in _KEY]
    if all(bool((key == key[0]).all()) for key in keys):
        return np.zeros(len(keys[0]), np.int64), np.arange(len(keys[0]))
    order = np.lexsort(tuple(reversed(keys)))
    new = np.zeros(len(order), np.bool_)
    for key in keys:
        sorted_key = key[order]
        new[1:] |= sorted_key[1:] != sorted_key[:-1]
    return np.cumsum(new), order


def _furthest(group: Int64, end: Int64) -> Int64:
    """Of each row the earlier one of its group with the latest end; itself for the first.

    Of equal ends the later row counts: it is the one that the next row follows.
    """
    n = len(end)
    rank = np.empty(n, np.int64)
    by_end = np.argsort(end, kind="stable")
    rank[by_end] = np.arange(n)
    reach = np.maximum.accumulate(group * n + rank)
    owner = np.arange(n)
    same = group[1:] == group[:-1]
    owner[1:][same] = by_end[reach[:-1][same] - group[:-1][same] * n]
    return owner
