"""What a recorder costs the host for each call that it records, and the device for graph nodes."""

from __future__ import annotations

import re

import numpy as np
from msgspec import Struct
from msgspec.structs import asdict, fields

from ..model.arrays import Bool
from ..model.cuda_calls import (
    EVENT_RECORD,
    GRAPH_LAUNCH,
    STREAM_WAIT,
    SYNCHRONIZE,
    is_allocating,
)
from ..model.intervals import Int64
from ..model.polling import QUERY
from ..model.schema import Kind
from ..model.trace import Calls, Operations

_LAUNCH = re.compile(r"^(cuda|hip|cu|hipExt)(ModuleLaunch|ExtLaunch|Launch)\w*(Kernel|Grid)?")
_COPY = re.compile(r"^(cuda|hip|cu)(Mem(cpy|set)|MemPrefetch)")
_EVENT = re.compile(r"^(cuda|hip|cu)(Event(Create|Destroy)|StreamWaitEvent)")
_DRIVER = re.compile(r"^cu[A-Z]")
LAUNCH, GRAPH, COPY, WAIT, EVENT, ALLOCATE, OTHER = range(7)
"""Places of the classes of calls in a table of costs, as `PerCall` lists them."""


class PerCall(Struct, frozen=True):
    """ns by class of call."""

    launch: int = 0
    graph_launch: int = 0
    copy: int = 0
    """Of memory, and setting it."""
    wait: int = 0
    """Synchronising, and queries."""
    event: int = 0
    """Recording an event, and making a stream wait for one."""
    allocate: int = 0
    other: int = 0

    @classmethod
    def every(cls, ns: int) -> PerCall:
        """The same for each class."""
        return cls(*[ns] * len(fields(cls)))


class Costs(Struct, frozen=True):
    """Times in ns, none of them negative."""

    inside: PerCall = PerCall()
    """By how much a recorded call is longer."""
    outside: PerCall = PerCall()
    """How much later the host goes on after it."""
    driver: float = 1.0
    """How many times as much a call of the driver's API costs."""
    node: int = 0
    """In the launch of a CUDA graph, for each node that is recorded: before the work is on its way,
    as far as the recording allows."""
    node_gap: int = 0
    """On the device, between two nodes of one launch."""
    iteration_gap: int = 0
    """On the device, between two iterations of a loop in a graph. Nothing takes it out yet."""
    range: int = 0
    """A range, half of it where it opens and half where it closes."""

    def scaled(self, factor: float) -> Costs:
        """All of them so many times; shares stay."""
        times = {name: round(getattr(self, name) * factor) for name in _PLAIN}
        return Costs(
            inside=_scaled(self.inside, factor),
            outside=_scaled(self.outside, factor),
            driver=self.driver,
            **times,
        )


_PLAIN = ("node", "node_gap", "iteration_gap", "range")


def _scaled(costs: PerCall, factor: float) -> PerCall:
    return PerCall(**{name: round(ns * factor) for name, ns in asdict(costs).items()})


def class_of(name: str) -> int:
    """The class of a call of this name, without its ABI suffix.

    >>> class_of("cudaLaunchKernel") == LAUNCH, class_of("cuMemcpyDtoHAsync") == COPY
    (True, True)
    """
    if GRAPH_LAUNCH.match(name):
        return GRAPH
    if name in SYNCHRONIZE or name in QUERY:
        return WAIT
    if EVENT_RECORD.match(name) or name in STREAM_WAIT or _EVENT.match(name):
        return EVENT
    if is_allocating(name):
        return ALLOCATE
    if _COPY.match(name):
        return COPY
    return LAUNCH if _LAUNCH.match(name) else OTHER


def graph_nodes(operations: Operations) -> Bool:
    """Which operations are nodes of CUDA graphs, recorded one by one. Shape (operations,)."""
    nodes: Bool = (operations.node != 0) & (operations.kind != Kind.GRAPH)
    return nodes


def cost_of_calls(costs: Costs, calls: Calls, nodes: Int64) -> tuple[Int64, Int64]:
    """What each call costs inside and after it, ns. `nodes`: of graphs, that it launched and that
    are recorded one by one. Shapes (calls,)."""
    if len(calls) == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    classes = np.array([class_of(name) for name in calls.names], np.int64)
    driver = np.array([_DRIVER.match(name) is not None for name in calls.names], np.bool_)
    inside, outside = (_by_name(own, classes, driver, costs.driver)[calls.name]
                       for own in (costs.inside, costs.outside))  # fmt: skip
    return inside + costs.node * nodes, outside


def _by_name(
    own: PerCall, classes: Int64, driver: np.typing.NDArray[np.bool_], times: float
) -> Int64:
    table = np.array(list(asdict(own).values()), np.int64)[classes]
    return np.where(driver, np.rint(table * times), table).astype(np.int64)
