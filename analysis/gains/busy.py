"""What the GPU does in a step: kernels, copies and communication, by the time that they take."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool, factorize
from ..model.communication import Communication
from ..model.intervals import Int64, intersect, union
from ..model.names import name_of
from ..model.schema import CopyKind, Kind
from ..model.trace import Operations, Strings
from ..store.opened import Store
from ..store.whole import Whole
from .loop import NO_COPY, ON_DEVICE, Loop
from .stretch import operations_at

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


MOST = 400_000
"""Operations of a window beyond which nobody looks at each of them."""


class _Work(Struct, frozen=True, eq=False):
    """Some operations: names, and what they are; arrays have shape (n,)."""

    start: Int64
    end: Int64
    names: list[str]
    kernels: Bool
    hosts: Bool
    """Copies from or to the host."""
    pageable: Bool
    launches: int


def busy_of(loops: Sequence[Loop], communication: Communication) -> Busy:
    """What the counted steps of a loop's stretches did."""
    return _busy([_of_loop(loop) for loop in loops], sum(loop.steps for loop in loops),
                 communication)  # fmt: skip


def busy_between(
    tables: Whole | Store, device: int, lo: int, hi: int, steps: int, communication: Communication
) -> Busy | None:
    """What one device did in `[lo, hi)`, ns, a step of so many; None where that is too much to
    look at."""
    column = tables.operations["start"]
    edges = np.array([lo, hi], column.dtype)
    first, stop = np.searchsorted(column, edges, side="left").tolist()
    if not 0 < stop - first <= MOST:
        return None
    operations = operations_at(tables, np.arange(first, stop))
    mine = np.flatnonzero(operations.device == device)
    names = _names(operations, tables.strings, mine)
    kind, copy = operations.kind[mine], operations.copy_kind[mine]
    work = _Work(
        operations.start[mine], operations.end[mine], names, kind != Kind.MEMCPY,
        (kind == Kind.MEMCPY) & np.isin(copy, _OF_HOST), operations.pageable[mine],
        len(np.unique(operations.launch[mine][operations.launch[mine] >= 0])),
    )  # fmt: skip
    return _busy([work], steps, communication)


_OF_HOST = [int(kind) for kind in (CopyKind.HTOD, CopyKind.HTOA, CopyKind.DTOH, CopyKind.ATOH)]


def _of_loop(loop: Loop) -> _Work:
    mine = np.flatnonzero(loop.counted[loop.action])
    direction = loop.direction[mine]
    trace = loop.stretch.trace
    return _Work(
        loop.recorded_start[mine], loop.recorded_end[mine],
        _names(trace.operations, trace.strings, loop.row[mine]), direction == NO_COPY,
        (direction != NO_COPY) & (direction != ON_DEVICE), loop.pageable[mine],
        int(np.count_nonzero(loop.launching() & loop.counted)),
    )  # fmt: skip


def _busy(every: Sequence[_Work], steps: int, communication: Communication) -> Busy:
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    sums = np.zeros(4, np.int64)
    for work in every:
        names = np.array(work.names or [""])
        known = {name: communication.is_communication(name) for name in sorted(set(work.names))}
        talks = np.array([known[name] for name in work.names], np.bool_)
        length = work.end - work.start
        for name in known:
            mine = (names[: len(length)] == name) & work.kernels
            if mine.any():
                spent[name] += int(length[mine].sum())
                count[name] += int(np.count_nonzero(mine))
        others = work.kernels & ~talks
        sums += np.array((*_alone(work, work.hosts, work.kernels), *_alone(work, talks, others)))
    copy_ns, copy_alone, communication_ns, exposed = (sums / steps).tolist()
    return Busy(
        kernels=tuple(
            Kernel(name, ns / steps, count[name] / steps) for name, ns in spent.most_common(NAMED)
        ),
        kernel_ns=sum(spent.values()) / steps,
        launches=sum(work.launches for work in every) / steps,
        copy_ns=copy_ns,
        copy_alone_ns=copy_alone,
        copies=sum(int(np.count_nonzero(work.hosts)) for work in every) / steps,
        pageable=sum(int(np.count_nonzero(work.hosts & work.pageable)) for work in every) / steps,
        communication_ns=communication_ns,
        communication_alone_ns=exposed,
    )


def _names(operations: Operations, strings: Strings, rows: Int64) -> list[str]:
    """The name of each of these operations."""
    kind, copy = operations.kind[rows], operations.copy_kind[rows]
    keys = (operations.name[rows] << 12) + copy.astype(np.int64) * 16 + kind
    codes, distinct = factorize(keys)
    first = np.zeros(len(distinct), np.int64)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    told = [name_of(operations, strings, int(rows[k])) for k in first.tolist()]
    return [told[code] for code in codes.tolist()]


def _alone(work: _Work, some: Bool, others: Bool) -> tuple[int, int]:
    """When some operations ran, and when they ran and the others did not, ns."""
    mine = union(work.start[some], work.end[some])
    both = intersect(mine, union(work.start[others], work.end[others]))
    return mine.total, mine.total - both.total
