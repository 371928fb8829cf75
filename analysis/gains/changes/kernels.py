"""One kernel takes no time: the most that a faster one could win."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import numpy as np

from ...model.names import operation_name
from ..batch import Variant
from ..loop import NO_COPY, Loop
from .base import Change, Costs, Offer, steps_of

MOST = 3
"""Kernels that are looked at: those that take longest."""


def _free(loop: Loop, costs: Costs, *, kernel: str) -> Variant:
    del costs
    variant = Variant.of(loop)
    mine = [
        k for k in _kernels(loop) if operation_name(loop.stretch.trace, int(loop.row[k])) == kernel
    ]
    variant.duration = variant.duration.copy()
    variant.duration[mine] = 0
    return variant


def _kernels(loop: Loop) -> list[int]:
    found: list[int] = np.flatnonzero(loop.direction == NO_COPY).tolist()
    return found


def _offers(loops: Sequence[Loop]) -> list[Offer]:
    spent: Counter[str] = Counter()
    count: Counter[str] = Counter()
    for loop in loops:
        trace = loop.stretch.trace
        for k in _kernels(loop):
            if loop.step[loop.action[k]] == 0:
                continue
            name = operation_name(trace, int(loop.row[k]))
            spent[name] += int(loop.duration[k])
            count[name] += 1
    steps = steps_of(loops)
    return [
        Offer(
            CHANGE.name, name, "", ns / steps, count[name] / steps, float("inf"),
            partial(_free, kernel=name),
        )
        for name, ns in spent.most_common(MOST)
    ]  # fmt: skip


CHANGE = Change("kernel", _offers, "no time in kernel {where}", of_host=False)
