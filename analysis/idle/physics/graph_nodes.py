"""Every launch of a CUDA graph runs all of its nodes.

So within one graph that is not updated, and has no conditional node, a node that ran in nearly all
launches and left no row in one has lost it. The first and the last launch on each stream are left
out: the recording may have begun or ended inside them. So are those in which it paused
(`cut_launches.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool, factorize, groups
from ...model.intervals import Int64
from ...store.folder import Array
from .counts import added
from .cut_launches import Lacking
from .streams import GRAPH

NEARLY_ALL = 0.9
"""Share of the launches of its graph in which a node ran that belongs to each of them."""
MOST_LAUNCHES = 1 << 20
"""Graph launches whose nodes are compared: the first of a longer trace."""
UPDATES = re.compile(r"(cuda|cu|hip)Graph(ExecUpdate|NodeSetEnabled)")
"""Calls after which a graph may run other nodes than before."""

_LOW = GRAPH


class NodesLost(Struct, frozen=True):
    """Rows of graph nodes that are missing."""

    lost: int = 0
    expected: int = 0
    launches: int = 0
    """Those that are not whole."""

    @property
    def share(self) -> float:
        return self.lost / self.expected if self.expected else 0.0


class EdgeLaunches:
    """The first and the last launch on each stream. A stream takes some hundred bytes."""

    def __init__(self) -> None:
        self._first: dict[tuple[int, int], int] = {}
        self._last: dict[tuple[int, int], int] = {}

    def add(self, rows: dict[str, Array]) -> None:
        """Operations sorted by start."""
        if len(rows["launch"]) == 0:
            return
        launch = rows["launch"]
        for process, mine in groups(rows["process"]):
            for stream, some in groups(rows["stream"][mine]):
                self._first.setdefault((process, stream), int(launch[mine[some[0]]]))
                self._last[process, stream] = int(launch[mine[some[-1]]])

    def launches(self) -> Int64:
        """Rows of calls, sorted."""
        return np.unique(np.array([*self._first.values(), *self._last.values()], np.int64))


class GraphNodes:
    """Adds up the parts of a trace. Keeps a count for each node, and one for each launch."""

    def __init__(self, edges: Int64, updating: frozenset[int]) -> None:
        """`edges`: launches that are not compared; `updating`: processes that change graphs."""
        self._edges = edges
        self._updating = np.array(sorted(updating), np.int64)
        self._graphs: dict[int, int] = {}
        """(process, graph) as one number, to the number that it goes by here."""
        self._conditional: set[int] = set()
        self._nodes = self._launches = (np.empty(0, np.int64), np.empty(0, np.int64))
        """(keys, sorted, and how many rows each left): graph and node; launch and graph."""

    def add(self, rows: dict[str, Array]) -> None:
        """Operations sorted by start, with `node` as `Operations.node`."""
        some = np.flatnonzero(rows["node"])
        if not len(some):
            return
        node, launch = rows["node"][some], rows["launch"][some].astype(np.int64)
        process = rows["process"][some].astype(np.int64)
        graph = self._numbered((process << _LOW) | (np.abs(node) >> _LOW))
        self._conditional.update(np.unique(graph[node < 0]).tolist())
        kept = (node > 0) & (launch >= 0) & ~np.isin(launch, self._edges)
        kept &= ~np.isin(process, self._updating)
        pairs = (launch[kept] << _LOW) | graph[kept]
        within = self._within(pairs)
        self._launches = added(self._launches, pairs[within])
        nodes = (graph[kept] << _LOW) | (node[kept] & (2**_LOW - 1))
        self._nodes = added(self._nodes, nodes[within])

    def _numbered(self, graphs: Int64) -> Int64:
        codes, distinct = factorize(graphs)
        given = [self._graphs.setdefault(graph, len(self._graphs)) for graph in distinct.tolist()]
        return np.array(given, np.int64)[codes]

    def _within(self, pairs: Int64) -> Bool | slice:
        """Which rows are of launches that there is still room for: the first ones come first."""
        known = self._launches[0]
        if len(known) + len(pairs) <= MOST_LAUNCHES:
            return slice(None)
        found, first = np.unique(pairs, return_index=True)
        new = np.flatnonzero(~np.isin(found, known))
        new = new[np.argsort(first[new], kind="stable")]
        return ~np.isin(pairs, found[new[MOST_LAUNCHES - len(known) :]])

    def result(self) -> NodesLost:
        """Of each graph that keeps the law."""
        lost = expected = launches = 0
        for _, _, left, here in self._compared():
            expected += len(left) * len(here)
            if _lacks(left, here):
                lost += int((len(left) - here).sum())
                launches += int(np.count_nonzero(left < len(here)))
        return NodesLost(lost, expected, launches)

    def lacking(self) -> list[Lacking]:
        """The launches that `result` counts, of each graph of which most launches are whole."""
        ids = {number: graph & (2**_LOW - 1) for graph, number in self._graphs.items()}
        return [
            Lacking(
                ids[graph],
                launch[left < len(here)],
                int(launch[left.argmax()]),
                launch[left == len(here)],
            )
            for graph, launch, left, here in self._compared()
            if _lacks(left, here) and 2 * np.count_nonzero(left < len(here)) <= len(left)
        ]

    def _compared(self) -> Iterator[tuple[int, Int64, Int64, Int64]]:
        """(graph, its launches, how many nodes each left, in how many of them each node ran)."""
        (nodes, seen), (pairs, rows) = self._nodes, self._launches
        by_node, by_launch = dict(groups(nodes >> _LOW)), dict(groups(pairs & (2**_LOW - 1)))
        for graph, mine in by_launch.items():
            here, left = seen[by_node[graph]], rows[mine]
            # A node that ran twice in one launch is in the body of a loop.
            if graph not in self._conditional and int(here.max()) <= len(left):
                yield graph, pairs[mine] >> _LOW, left, here


def _lacks(left: Int64, here: Int64) -> bool:
    """Whether launches of a graph left fewer nodes than it has."""
    often = here[here >= NEARLY_ALL * len(left)]
    # Where one launch ran every node, all do. Else an id may stand for two graphs, whose launches
    # are of two lengths.
    uneven = int(left.max()) == len(here) or len(np.unique(left)) > 2
    return bool((here < len(left)).any()) and (uneven or bool((often < len(left)).any()))
