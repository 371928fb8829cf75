"""All laws, over all rows of a trace: two passes over the operations, one over the calls.

A few more where launches of graphs lack nodes.
"""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ...model.arrays import stretches
from ...model.cuda_calls import named
from ...store.folder import Array
from ...store.layout import FAILED, REPEATED
from ...store.opened import Store
from ...store.whole import Whole
from ..sizes import Progress, Sizes
from .clock import BeforeLaunch, EarlyReturns, Returns, Starts
from .cut_launches import cut_launches
from .graph_nodes import UPDATES, EdgeLaunches, GraphNodes, NodesLost
from .streams import Overlap, StreamOrder
from .waited import WaitsFound


class Physics(Struct, frozen=True):
    """Where the rows of a trace break a law."""

    before_launch: BeforeLaunch = BeforeLaunch()
    early_returns: EarlyReturns = EarlyReturns()
    overlap: Overlap = Overlap()
    nodes: NodesLost = NodesLost()


RECORDS = (Physics, BeforeLaunch, EarlyReturns, Overlap, NodesLost)

_OPERATIONS = (
    "start", "end", "kind", "device", "process", "stream", "copy_kind", "launch", "node",
)  # fmt: skip


def physics_of(tables: Whole | Store, sizes: Sizes, progress: Progress) -> Physics:
    """Hold the rows against the laws, in bounded memory: see each law for what it keeps."""
    waits, updating = _calls(tables, sizes, progress)
    operations = tables.operations
    edges = EdgeLaunches()
    parts = list(stretches(operations.rows, sizes.operations))
    if any(operations.one(part, "node").any() for part in parts):
        for part in parts:
            edges.add(operations.read(part, "process", "stream", "launch"))
            tables.forget()
    starts, returns = Starts(), Returns(waits.waits(), tables.names)
    order, nodes = StreamOrder(tables.names), GraphNodes(edges.launches(), updating)
    for part in parts:
        progress("checks", part.start, operations.rows)
        rows = operations.read(part, *_OPERATIONS)
        known = np.flatnonzero(rows["launch"] >= 0)
        called = _launches(tables, rows["launch"][known])
        starts.add(rows["start"][known], called["start"])
        name = np.full(len(rows["start"]), -1, np.int64)
        name[known] = called["name"]
        order.add(rows, name)
        nodes.add(rows)
        if not returns.idle:
            # An id that two calls share does not tell which of them launched.
            sure = (called["flags"] & REPEATED) == 0
            mine = {column: values[known[sure]] for column, values in rows.items()}
            returns.add(mine, {column: values[sure] for column, values in called.items()})
        tables.forget()
    lost = nodes.result()
    cut = cut_launches(tables, nodes.lacking(), sizes)
    if len(cut):
        known = np.union1d(edges.launches(), cut)
        lost = _nodes(tables, GraphNodes(known, updating), sizes)
    return Physics(starts.result(), returns.result(), order.result(), lost)


def _nodes(tables: Whole | Store, nodes: GraphNodes, sizes: Sizes) -> NodesLost:
    for part in stretches(tables.operations.rows, sizes.operations):
        nodes.add(tables.operations.read(part, "process", "launch", "node"))
        tables.forget()
    return nodes.result()


def _launches(tables: Whole | Store, launch: Array) -> dict[str, Array]:
    return tables.calls.read(launch, "start", "end", "name", "flags")


def _calls(
    tables: Whole | Store, sizes: Sizes, progress: Progress
) -> tuple[WaitsFound, frozenset[int]]:
    """The waits, and the processes that update graphs."""
    calls, waits = tables.calls, WaitsFound(tables)
    updates = named(tables.names, UPDATES.match)
    wanted, updating = waits.wanted | updates, set[int]()
    for part in stretches(calls.rows, sizes.host_rows) if wanted.any() else ():
        progress("waits", part.start, calls.rows)
        rows = part.start + np.flatnonzero(wanted[calls.one(part, "name")])
        found = calls.read(rows, "start", "end", "process", "name", "flags")
        sound = (found["flags"] & FAILED) == 0
        found = {name: column[sound] for name, column in found.items()}
        waits.add(rows[sound], found)
        updating.update(np.unique(found["process"][updates[found["name"]]]).tolist())
        tables.forget()
    return waits, frozenset(updating)
