"""Which operators name host time that the user did not."""

from __future__ import annotations

from typing import Literal

import numpy as np

from ...model.intervals import Int64
from ...model.nesting import innermost
from ...model.source import PROFILER_STEP_NAME
from .rows import Rows


def worth_naming(rows: Rows) -> Int64:
    """Operators that are outermost on their thread and inside no annotation but a step.

    They name host time that nobody annotated (`aten::item`, `aten::linear`); where the user has
    named it, the user's name stands, as it does in an nsys trace.
    """
    operators, notes = rows.operators, rows.annotations
    thread, start, end = (operators[name] for name in ("thread", "start", "end"))
    steps = {number for text, number in rows.names.ids.items() if PROFILER_STEP_NAME.search(text)}
    is_step = np.isin(notes["name"], np.array(sorted(steps), np.int64))
    columns = {name: notes[name] for name in ("thread", "start", "end")}
    kept = []
    distinct = np.unique(thread)
    groups = zip(_rows_of(thread, distinct), _rows_of(columns["thread"], distinct), strict=True)
    for rows_here, notes_here in groups:
        mine = rows_here[np.lexsort((-end[rows_here], start[rows_here]))]
        reach = np.maximum.accumulate(end[mine])
        outer = np.ones(len(mine), np.bool_)
        outer[1:] = end[mine[1:]] > reach[:-1]
        mine = mine[outer]
        order = np.lexsort((-columns["end"][notes_here], columns["start"][notes_here]))
        own = notes_here[order]
        stretches, owner = innermost(columns["start"][own], columns["end"][own])
        at = np.searchsorted(stretches.start, start[mine], side="right") - 1
        inside = at >= 0
        inside[inside] = stretches.end[at[inside]] > start[mine[inside]]
        named = inside.copy()
        named[inside] = ~is_step[own[owner[at[inside]]]]
        kept.append(mine[~named])
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)


def _rows_of(column: Int64, values: Int64) -> list[Int64]:
    """The rows that hold each of some sorted values; one sort for all of them."""
    order = np.argsort(column, kind="stable")
    low, high = (np.searchsorted(column[order], values, side=side) for side in _SIDES)
    return [order[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)]


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")
