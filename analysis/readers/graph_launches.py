"""GPU work that no call launched, but a CUDA graph on the device: the body of a conditional node.

CUPTI gives the operations of such a body correlationId 0. They carry the id of their graph, in the
upper half of `graphNodeId`, as the operations outside the body do, and those have the call that
launched the graph: its launch is theirs. Seen in exports of nsys 2025.3 and in CUPTI's records of
CUDA 13.0 alike.
"""

from __future__ import annotations

import numpy as np

from ..model.intervals import Int64
from ..model.schema import MAX_TIME, Columns

_BODY = -(2**62)
"""CorrelationIds are 32 bits wide: below this one, and above NULL, none occurs."""


class GraphLaunches:
    """Which call launched which graph when, as far as its operations tell."""

    def __init__(self) -> None:
        self._seen: list[Int64] = []
        self._table: Int64 | None = None

    def take(self, rows: Columns, process: Int64) -> Int64:
        """Note what these rows tell; their correlationIds, a body's as `_BODY` less the graph.

        `rows` with `start`, `correlationId` and `graphNodeId`, shape (n,); `process`, shape (n,).
        """
        ids: Int64 = rows["correlationId"]
        node: Int64 = rows["graphNodeId"]
        graph = np.where(node > 0, node >> 32, 0)
        if not graph.any():
            return ids
        start: Int64 = rows["start"]
        launched = np.flatnonzero((graph > 0) & (ids > 0) & (abs(start) < MAX_TIME))
        if len(launched):
            found = np.stack([column[launched] for column in (process, graph, start, ids)])
            # A launch brings many nodes: its first one tells all.
            found = found[:, np.lexsort((found[2], found[3], found[1], found[0]))]
            first = np.ones(found.shape[1], np.bool_)
            first[1:] = (found[:, 1:] != found[:, :-1])[[0, 1, 3]].any(axis=0)
            self._seen.append(found[:, first])
            self._table = None
        return np.where((ids == 0) & (graph > 0), _BODY - graph, ids)

    def resolve(self, ids: Int64, start: Int64, process: Int64) -> Int64:
        """The correlationIds that `take` gave, with that of the graph's latest launch for a body.

        0 where no launch of the graph is in the trace. Shape (n,); O((n + m) log m), m launches.
        """
        bodies = np.flatnonzero((ids < _BODY) & (ids >= _BODY - 2**32))
        if not len(bodies):
            return ids
        ids = ids.copy()
        if self._table is None:
            seen = np.concatenate(self._seen, axis=1) if self._seen else np.empty((4, 0), np.int64)
            self._table = seen[:, np.lexsort((seen[2], seen[1], seen[0]))]
        table = self._table
        asked = np.stack((process[bodies], _BODY - ids[bodies], start[bodies]))
        # Launches and bodies in one order: each body takes the launch before it.
        known = table.shape[1]
        both = np.concatenate((table[:3], asked), axis=1)
        body = np.arange(both.shape[1]) >= known
        order = np.lexsort((body, both[2], both[1], both[0]))
        last = np.maximum.accumulate(np.where(body[order], -1, np.arange(len(order))))
        before = order[np.maximum(last, 0)]
        same = (last >= 0) & (both[:2, before] == both[:2, order]).all(axis=0)
        asking = body[order]
        found = np.where(same, before, -1)[asking]
        where = bodies[order[asking] - known]
        ids[where] = np.where(found >= 0, table[3, found] if known else 0, 0)
        return ids


def nodes_of(rows: Columns) -> Int64:
    """`Operations.node` of these rows, whose correlationIds are as they were recorded."""
    node: Int64 = rows["graphNodeId"]
    if node.max(initial=0) <= 0:
        return np.zeros(len(node), np.int64)
    known = np.where(node > 0, node, 0)
    return np.where(rows["correlationId"] == 0, -known, known)


def find_launches(operations: list[Columns]) -> None:
    """Give each row of KERNEL, MEMCPY and MEMSET its node, and the id of the call behind it."""
    launches = GraphLaunches()
    for rows in operations:
        rows["node"] = nodes_of(rows)
    if all(rows["node"].min(initial=0) >= 0 for rows in operations):
        return  # no body of a conditional node
    for rows in operations:
        rows["correlationId"] = launches.take(rows, rows["globalPid"])
    for rows in operations:
        ids, start, process = (rows[name] for name in ("correlationId", "start", "globalPid"))
        rows["correlationId"] = launches.resolve(ids, start, process)
