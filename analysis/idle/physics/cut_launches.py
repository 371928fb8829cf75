"""Launches of graphs that the recorder's own pause, or the recording's end, cut in two.

Such a launch lacks its last nodes, or its first ones, and its process recorded nothing for longer
than those take: neither operations nor calls. Where rows were lost, others beside them were not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from msgspec import Struct

from ...model.arrays import groups, stretches
from ...model.intervals import Int64
from ...store.folder import Array, Table
from ...store.opened import Store
from ...store.whole import Whole, WholeTable
from ..sizes import Sizes
from .streams import GRAPH

MOST_CUT = 256
"""Launches that are looked at: of a recording that pauses more often, all lack nodes."""


class Lacking(Struct, frozen=True, eq=False):
    """Launches of one graph that lack nodes."""

    graph: int
    """As the upper half of `Operations.node` has it."""
    launches: Int64
    """Rows of calls."""
    fullest: int
    """A launch with as many nodes as any: it shows when each of them runs."""


class _Nodes(Struct, frozen=True, eq=False):
    """What one launch left of its graph, by node. Arrays have shape (n,)."""

    node: Int64
    start: Int64
    end: Int64
    process: int


class _Silence(Struct, frozen=True):
    """Where a process must have recorded nothing for a launch to be cut, ns."""

    launch: int
    process: int
    start: int
    end: int


def cut_launches(tables: Whole | Store, lacking: Iterable[Lacking], sizes: Sizes) -> Int64:
    """Those that were cut: rows of calls, sorted. Two passes over the operations, and one over the
    calls; keeps the rows of the launches that are looked at."""
    asked = list(lacking)
    if not 0 < sum(len(one.launches) for one in asked) <= MOST_CUT:
        return np.empty(0, np.int64)
    nodes = _nodes(tables, asked, sizes)
    silences = [
        silence
        for one in asked
        for launch in one.launches.tolist()
        for silence in _silence(launch, nodes[launch, one.graph], nodes[one.fullest, one.graph])
    ]
    silences = _kept(tables, tables.operations, silences, sizes.operations)
    silences = _kept(tables, tables.calls, silences, sizes.host_rows)
    return np.unique(np.array([one.launch for one in silences], np.int64))


def _nodes(
    tables: Whole | Store, asked: list[Lacking], sizes: Sizes
) -> dict[tuple[int, int], _Nodes]:
    """By launch and graph."""
    launches = np.unique(np.concatenate([[one.fullest, *one.launches] for one in asked]))
    found: list[dict[str, Array]] = []
    operations = tables.operations
    for part in stretches(operations.rows, sizes.operations):
        launch, node = operations.one(part, "launch"), operations.one(part, "node")
        rows = part.start + np.flatnonzero(np.isin(launch, launches) & (node > 0))
        found.append(operations.read(rows, "launch", "node", "start", "end", "process"))
        tables.forget()
    names = ("launch", "node", "start", "end", "process")
    rows = {name: np.concatenate([one[name] for one in found]).astype(np.int64) for name in names}
    return {
        (launch, graph): _Nodes(
            rows["node"][mine[some]],
            rows["start"][mine[some]],
            rows["end"][mine[some]],
            int(rows["process"][mine[0]]),
        )
        for launch, mine in groups(rows["launch"])
        for graph, some in groups(rows["node"][mine] >> GRAPH)
    }


def _silence(launch: int, left: _Nodes, fullest: _Nodes) -> Iterator[_Silence]:
    """Where its process was silent, if it was cut; none where it lacks no first or last piece."""
    shown = np.argsort(fullest.node)
    at = np.minimum(np.searchsorted(fullest.node[shown], left.node), len(shown) - 1)
    like = shown[at]
    lacks = np.flatnonzero(~np.isin(fullest.node, left.node))
    if not len(lacks) or (fullest.node[like] != left.node).any():
        return
    begins, ends = fullest.start[like], fullest.end[like]
    first, last = int(fullest.end[lacks].min()), int(fullest.start[lacks].max())
    before, behind = begins < first, ends > last
    if not (before | behind).all():
        return
    # Branches that run beside all that is missing tell nothing.
    before, behind = before & ~behind, behind & ~before
    if before.any() == behind.any():
        return
    # The recorder may have worked until the first of them would have ended, or from where the last
    # one began. What is silent for no longer than they take may be a host that does other things.
    needs = int(fullest.end[lacks].max() - fullest.start[lacks].min())
    if before.any():
        worked = first - int(ends[before].max())
        start = int(left.end[before].max()) + worked
        end = start + 2 * max(needs, worked)
    else:
        worked = int(begins[behind].min()) - last
        end = int(left.start[behind].min()) - worked
        start = end - 2 * max(needs, worked)
    yield _Silence(launch, left.process, start, end)


def _kept(
    tables: Whole | Store, table: WholeTable | Table, silences: list[_Silence], most: int
) -> list[_Silence]:
    """Those in which none of the process's rows lies."""
    process = np.array([one.process for one in silences], np.int64)
    begin = np.array([one.start for one in silences], np.int64)
    end = np.array([one.end for one in silences], np.int64)
    silent = np.ones(len(silences), np.bool_)
    for part in stretches(table.rows, most) if silences else ():
        rows = table.read(part, "start", "end", "process")
        for owner, its in groups(rows["process"]):
            asked = np.flatnonzero(process == owner)
            mine = its[np.argsort(rows["start"][its], kind="stable")]
            reach = np.maximum.accumulate(rows["end"][mine].astype(np.int64))
            early = np.searchsorted(rows["start"][mine], end[asked], side="left")
            silent[asked] &= (early == 0) | (reach[early - 1] <= begin[asked])
        tables.forget()
    return [one for one, kept in zip(silences, silent.tolist(), strict=True) if kept]
