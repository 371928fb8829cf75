"""Whose step each operation of a part of a trace is."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from ..model.arrays import Code, factorize, stretches
from ..model.cuda_calls import migrations
from ..model.intervals import Int64
from ..model.trace import Ranges, Strings, Trace
from ..question import StepPattern
from ..store.cut import NO_ROWS, no_operations, part_of
from ..store.folder import Array
from ..store.layout import GROUPS
from ..store.opened import Store
from .steps import Steps, find_steps


class Owned(Struct, frozen=True, eq=False):
    """Whose step each operation of a part is."""

    step_of: tuple[Code, ...]
    """For each series of the trace, shape (operations,): the step, -1 for none."""
    found: Steps
    """The part's own steps; not all series of the trace, and not all steps, are among them."""
    places: tuple[int, ...]
    """For each series of `found` that of the trace."""


class WholeSteps:
    """The steps of a trace in memory, with all that they launched."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def owners(self, trace: Trace) -> Owned:
        """Of all operations of the trace."""
        del trace  # it is the one in which they were found
        series = self.steps.series
        return Owned(tuple(one.step_of for one in series), self.steps, tuple(range(len(series))))


class StoredSteps:
    """The steps of a stored trace, in memory; their `step_of` is empty. `matched`: rows of every
    range that matches a pattern, nested ones too."""

    def __init__(self, store: Store, patterns: tuple[StepPattern, ...], matched: Int64) -> None:
        self._store, self._patterns = store, patterns
        self._ranges = Ranges(**store.ranges.read(matched))
        part = part_of(store, no_operations(), NO_ROWS, self._ranges)
        self.steps = find_steps(part, patterns)

    def owners(self, part: Trace) -> Owned:
        """Of the operations of a part, whose calls hold the launches of all of them."""
        none = np.full(len(part.operations), -1, np.int32)
        series = self.steps.series
        step_of = [none] * len(series)
        launch = part.operations.launch
        moved = migrations(part.operations)
        if not series or not ((launch >= 0) | moved).any():
            # Nothing was launched: every operation is outside all steps.
            return Owned(tuple(step_of), Steps((), len(part.operations), 0), ())
        called = part.calls.start[launch[launch >= 0]]
        at = np.concatenate((called, part.operations.start[moved]))
        first, last = int(at.min()), int(at.max())
        near = (self._ranges.start <= last) & (self._ranges.end > first)
        ranges = Ranges(**{name: getattr(self._ranges, name)[near] for name in GROUPS["ranges"]})
        found = find_steps(replace(part, ranges=ranges), self._patterns)
        # Both lists are in the order of patterns, then threads; a part lacks some.
        place = 0
        places = []
        for one in found.series:
            # A wildcard and a regular expression may be the same text: their steps tell them apart.
            while True:
                whole = series[place]
                index = np.flatnonzero((whole.start <= last) & (whole.end > first))
                if (whole.pattern, whole.thread_index) == (one.pattern, one.thread_index) and (
                    np.array_equal(whole.start[index], one.start)
                ):
                    break
                place += 1
            table = np.append(index, -1).astype(np.int32)
            step_of[place] = table[one.step_of]
            places.append(place)
            place += 1
        return Owned(tuple(step_of), found, tuple(places))


def matching_rows(
    names: Array, strings: Strings, patterns: tuple[StepPattern, ...], most: int
) -> Int64:
    """Rows of the ranges whose name matches a pattern; `most` names are looked at at once."""
    kept = [NO_ROWS]
    known: dict[int, bool] = {}
    for rows in stretches(len(names), most):
        codes, ids = factorize(names[rows].astype(np.int64))
        for string_id in ids.tolist():
            if string_id not in known:
                text = strings[string_id]
                known[string_id] = any(pattern.matches(text) for pattern in patterns)
        hit = np.array([known[i] for i in ids.tolist()], np.bool_)
        kept.append(rows.start + np.flatnonzero(hit[codes]))
    return np.concatenate(kept)
