"""One kernel takes no time: the most that a faster one could win."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from ...model.arrays import Code
from ...model.intervals import Int64
from ...model.names import operation_names
from ..batch import Variant
from ..loop import NO_COPY, Loop
from .base import Change, Costs, Offer, steps_of

MOST = 3
"""Kernels that are looked at: those that take longest."""


def free(loop: Loop, costs: Costs, *, kernel: str) -> Variant:
    """The loop in which this kernel takes no time; what held its start still does."""
    del costs
    variant = Variant.of(loop)
    rows, number, names = _kernels(loop)
    mine = rows[np.isin(number, [k for k, name in enumerate(names) if name == kernel])]
    variant.duration = variant.duration.copy()
    variant.duration[mine] = loop.late[mine]
    return variant


def _kernels(loop: Loop) -> tuple[Int64, Code, list[str]]:
    """The operations that are no copies, of each the number of its name, and the names."""
    rows = np.flatnonzero(loop.direction == NO_COPY)
    return rows, *operation_names(loop.stretch.trace, loop.row[rows])


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for loop in loops:
        rows, number, names = _kernels(loop)
        counted = loop.counted[loop.action[rows]]
        rows, number = rows[counted], number[counted]
        total = np.bincount(number, loop.duration[rows], minlength=len(names)).tolist()
        times = np.bincount(number, minlength=len(names)).tolist()
        for name, ns, often in zip(names, total, times, strict=True):
            spent[name] += int(ns)
            count[name] += often
    steps = steps_of(loops)
    return [
        Offer(
            CHANGE.name, name, "", ns / steps, count[name] / steps, float("inf"),
            partial(free, kernel=name),
        )
        for name, ns in spent.most_common(MOST)
        if ns > 0
    ]  # fmt: skip


CHANGE = Change("kernel", _offers, "without kernel {where}", of_host=False)
