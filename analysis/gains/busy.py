"""What the GPU does in a step: kernels, copies and communication, by the time that they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool
from ..model.communication import Communication
from ..model.intervals import Int64, Intervals, intersect, union
from ..model.names import operation_name
from .loop import NO_COPY, ON_DEVICE, Loop

NAMED = 5
"""Kernels that are told by name."""


class Kernel(Struct, frozen=True):
    """All launches of one name, of a step."""

    name: str
    ns: float
    count: float


class Busy(Struct, frozen=True):
    """Of a step, in the steps that were replayed; times in ns."""

    kernels: tuple[Kernel, ...]
    """Those that take longest."""
    kernel_ns: float
    """Of all kernels, and other work that is no copy: the sum over streams."""
    launches: float
    """Launch calls."""
    copy_ns: float
    """When copies from or to the host ran: their union."""
    copy_alone_ns: float
    """When they ran and no kernel did."""
    copies: float
    pageable: float
    """Copies from or to pageable memory, as far as the recorder said so."""
    communication_ns: float
    communication_alone_ns: float
    """When communication ran and no other kernel did: it is exposed."""


def busy_of(loops: Sequence[Loop], communication: Communication) -> Busy:
    """What the counted steps of a loop's stretches did."""
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    sums = np.zeros(4, np.int64)
    launches = copies = pageable = 0
    for loop in loops:
        mine = loop.counted[loop.action]
        names = _names(loop, mine)
        kernels = (loop.direction == NO_COPY) & mine
        talks = np.array([communication.is_communication(name) for name in names], np.bool_)
        hosts = (loop.direction != NO_COPY) & (loop.direction != ON_DEVICE) & mine
        for k in np.flatnonzero(kernels).tolist():
            spent[names[k]] += int(loop.duration[k])
            count[names[k]] += 1
        launches += int(np.count_nonzero(loop.launching() & loop.counted))
        copies += int(np.count_nonzero(hosts))
        pageable += int(np.count_nonzero(hosts & loop.pageable))
        sums += np.array((*_alone(loop, hosts, kernels), *_alone(loop, talks, kernels & ~talks)))
    steps = sum(loop.steps for loop in loops)
    copy_ns, copy_alone, communication_ns, exposed = (sums / steps).tolist()
    return Busy(
        kernels=tuple(
            Kernel(name, ns / steps, count[name] / steps) for name, ns in spent.most_common(NAMED)
        ),
        kernel_ns=sum(spent.values()) / steps,
        launches=launches / steps,
        copy_ns=copy_ns,
        copy_alone_ns=copy_alone,
        copies=copies / steps,
        pageable=pageable / steps,
        communication_ns=communication_ns,
        communication_alone_ns=exposed,
    )


def _names(loop: Loop, mine: Bool) -> list[str]:
    """The name of each operation that counts, empty for the others."""
    trace = loop.stretch.trace
    keys = trace.operations.name[loop.row].astype(np.int64) * 64 + loop.direction
    known: dict[int, str] = {}
    names = []
    for key, row, counts in zip(keys.tolist(), loop.row.tolist(), mine.tolist(), strict=True):
        if not counts:
            names.append("")
            continue
        if key not in known:
            known[key] = operation_name(trace, row)
        names.append(known[key])
    return names


def _alone(loop: Loop, some: Bool, others: Bool) -> tuple[int, int]:
    """When some operations ran, and when they ran and the others did not, ns."""
    mine = _when(loop, some)
    both = intersect(mine, _when(loop, others))
    return mine.total, mine.total - both.total


def _when(loop: Loop, some: Bool | Int64) -> Intervals:
    return union(loop.recorded_start[some], loop.recorded_end[some])
