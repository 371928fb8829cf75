"""Launches of graphs that the recorder's own pause, or the recording's end, cut in two.

Such a launch lacks its last nodes, or its first ones, and its process recorded nothing for longer
than those take: neither operations nor calls. Where rows were lost, others beside them were not. A
pause is rare, and longer than the silence that is usual beside a launch of this graph.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

import numpy as np
from msgspec import Struct

from ...model.arrays import groups, stretches
from ...model.intervals import Int64
from ...model.schema import MAX_TIME
from ...store.folder import Array, Table
from ...store.opened import Store
from ...store.whole import Whole, WholeTable
from ..sizes import Sizes
from .streams import GRAPH

MOST_CUT = 256
"""Launches that are looked at: of a recording that pauses more often, all lack nodes."""
FEW, FEW_SHARE = 2, 0.05
"""Launches of a graph that pauses cut, at most: so many, or this share of all. More have lost their
nodes."""
LONG = 2
"""A pause is so many times as long as what is usual."""
SAMPLED = 1024
"""Whole launches of a graph, at most, that tell what is usual."""


class Lacking(Struct, frozen=True, eq=False):
    """Launches of one graph that lack nodes."""

    graph: int
    """As the upper half of `Operations.node` has it."""
    launches: Int64
    """Rows of calls."""
    fullest: int
    """A launch with as many nodes as any: it shows when each of them runs."""
    whole: Int64
    """The launches that lack none, rows of calls."""

    @property
    def few(self) -> float:
        """How many of them pauses may have cut."""
        return max(FEW, FEW_SHARE * (len(self.launches) + len(self.whole)))

    @property
    def sample(self) -> Int64:
        """Some of the whole ones, from all over the trace."""
        return self.whole[:: -(-len(self.whole) // SAMPLED)]


class _Nodes(Struct, frozen=True, eq=False):
    """What one launch left of its graph, by node. Arrays have shape (n,)."""

    node: Int64
    start: Int64
    end: Int64
    process: int


class _Usual(Struct, frozen=True):
    """How long a process is silent beside a launch of a graph, as a rule, ns."""

    before: int = 0
    behind: int = 0


class _Silence(Struct, frozen=True):
    """Where a process must have recorded nothing for a launch to be cut, ns."""

    launch: int
    graph: int
    process: int
    start: int
    end: int


def cut_launches(tables: Whole | Store, lacking: Iterable[Lacking], sizes: Sizes) -> Int64:
    """Those that were cut: rows of calls, sorted. Three passes over the operations, and two over
    the calls; keeps the rows of the launches that are looked at, and when the others ran."""
    asked = list(lacking)
    if not 0 < sum(len(one.launches) for one in asked) <= MOST_CUT:
        return np.empty(0, np.int64)
    extents = [_Extents(one) for one in asked]
    nodes = _nodes(tables, asked, extents, sizes)
    silences = [
        silence
        for one, usual in zip(asked, _usual(tables, extents, sizes), strict=True)
        for launch in one.launches.tolist()
        for silence in _silence(
            launch, one.graph, nodes[launch, one.graph], nodes[one.fullest, one.graph], usual
        )
    ]
    silences = _kept(tables, tables.operations, silences, sizes.operations)
    silences = _kept(tables, tables.calls, silences, sizes.host_rows)
    found: list[int] = []
    for one in asked:
        mine = {s.launch for s in silences if s.graph == one.graph} & set(one.launches.tolist())
        if len(mine) <= one.few:
            found.extend(mine)
    return np.unique(np.array(found, np.int64))


class _Extents:
    """When the sampled launches of a graph ran, from first to last node."""

    def __init__(self, lacking: Lacking) -> None:
        self._graph = lacking.graph
        self._launches = np.unique(lacking.sample)
        count = len(self._launches)
        self.start, self.end = np.full(count, MAX_TIME), np.full(count, -MAX_TIME)
        self.process = np.zeros(count, np.int64)

    def add(self, launch: Array, node: Array, rows: Callable[[Int64], dict[str, Array]]) -> None:
        """`rows`: columns of some rows of this part."""
        mine = np.flatnonzero((node >> GRAPH == self._graph) & np.isin(launch, self._launches))
        at, found = np.searchsorted(self._launches, launch[mine]), rows(mine)
        np.minimum.at(self.start, at, found["start"])
        np.maximum.at(self.end, at, found["end"])
        self.process[at] = found["process"]


def _usual(tables: Whole | Store, extents: list[_Extents], sizes: Sizes) -> list[_Usual]:
    """What lies between a launch and the rows of its process before and behind it, in the median.
    One pass over the operations, and one over the calls."""
    before = [np.full(len(one.start), -MAX_TIME) for one in extents]
    behind = [np.full(len(one.start), MAX_TIME) for one in extents]
    for table, most in ((tables.operations, sizes.operations), (tables.calls, sizes.host_rows)):
        for part in stretches(table.rows, most):
            rows = table.read(part, "start", "end", "process")
            for owner, its in groups(rows["process"]):
                starts, ends = np.sort(rows["start"][its]), np.sort(rows["end"][its])
                for k, one in enumerate(extents):
                    mine = np.flatnonzero(one.process == owner)
                    at = np.searchsorted(starts, one.end[mine], side="left")
                    some = at < len(starts)
                    np.minimum.at(behind[k], mine[some], starts[at[some]])
                    at = np.searchsorted(ends, one.start[mine], side="right") - 1
                    some = at >= 0
                    np.maximum.at(before[k], mine[some], ends[at[some]])
            tables.forget()
    return [
        _Usual(
            _median((one.start - last)[last > -MAX_TIME]),
            _median((following - one.end)[following < MAX_TIME]),
        )
        for one, last, following in zip(extents, before, behind, strict=True)
    ]


def _median(silences: Int64) -> int:
    return int(np.median(silences)) if len(silences) else 0


def _nodes(
    tables: Whole | Store, asked: list[Lacking], extents: list[_Extents], sizes: Sizes
) -> dict[tuple[int, int], _Nodes]:
    """By launch and graph. Shows the extents all rows."""
    launches = np.unique(np.concatenate([[one.fullest, *one.launches] for one in asked]))
    found: list[dict[str, Array]] = []
    operations = tables.operations
    for part in stretches(operations.rows, sizes.operations):
        launch, node = operations.one(part, "launch"), operations.one(part, "node")
        rows = part.start + np.flatnonzero(np.isin(launch, launches) & (node > 0))
        found.append(operations.read(rows, "launch", "node", "start", "end", "process"))
        for one in extents:
            one.add(launch, node, partial(_read, operations, part.start))
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


def _read(operations: WholeTable | Table, first: int, rows: Int64) -> dict[str, Array]:
    return operations.read(first + rows, "start", "end", "process")


def _silence(
    launch: int, graph: int, left: _Nodes, fullest: _Nodes, usual: _Usual
) -> Iterator[_Silence]:
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
    # one began. What is silent for no longer than they take may be a host that does other things,
    # and what is silent for little longer than beside other launches is no pause.
    needs = int(fullest.end[lacks].max() - fullest.start[lacks].min())
    if before.any():
        worked = first - int(ends[before].max())
        silent = int(left.end[before].max())
        start = silent + worked
        end = max(start + LONG * max(needs, worked), silent + LONG * (usual.behind + needs))
    else:
        worked = int(begins[behind].min()) - last
        silent = int(left.start[behind].min())
        end = silent - worked
        start = min(end - LONG * max(needs, worked), silent - LONG * (usual.before + needs))
    yield _Silence(launch, graph, left.process, start, end)


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
