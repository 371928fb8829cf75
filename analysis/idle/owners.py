"""Whose step each operation of a part of a trace is."""

from __future__ import annotations

import numpy as np

from ..model.arrays import factorize, stretches
from ..model.intervals import Int64
from ..model.schema import PID_MASK
from ..model.trace import Ranges, Strings, Trace
from ..question import StepPattern
from ..store.cut import NO_ROWS
from ..store.folder import Array
from ..store.opened import Store
from .assign import Owned, assign
from .loops import find_loops
from .steps import Homes, Steps


class WholeSteps:
    """The steps of a trace in memory, with all that they launched."""

    def __init__(self, steps: Steps) -> None:
        self.steps = steps

    def owners(self, trace: Trace) -> Owned:
        """Of all operations of the trace."""
        del trace  # it is the one in which they were found
        steps, series = self.steps, self.steps.series
        return Owned(
            tuple(one.step_of for one in series),
            tuple(one.by_time for one in series),
            tuple(one.other_threads for one in series),
            steps.unassigned,
            steps.ambiguous,
        )


class StoredSteps:
    """The steps of a stored trace, in memory; their `step_of` is empty. `matched`: rows of every
    range that matches a pattern, nested ones too; `homes`: see `steps.Homes`."""

    def __init__(
        self,
        store: Store,
        patterns: tuple[StepPattern, ...],
        matched: Int64,
        homes: dict[int, int],
    ) -> None:
        self._homes = homes
        ranges = Ranges(**store.ranges.read(matched))
        series = find_loops(
            store.path, ranges, store.strings, store.threads, store.processes, patterns, homes
        )
        self.steps = Steps(series, 0, 0)

    def owners(self, part: Trace) -> Owned:
        """Of the operations of a part, whose calls hold the launches of all of them."""
        return assign(part, self.steps.series, self._homes)


def stored_homes(store: Store, matched: Int64, most: int) -> dict[int, int]:
    """As `steps.homes_of`, of a stored trace, `most` operations at once; none where each process
    has steps on one thread, so that nobody asks."""
    threads = np.unique(store.ranges.one(matched, "thread")).tolist()
    processes = {store.threads[k].global_tid & PID_MASK for k in threads}
    found = Homes()
    if len(store.devices) < 2 or len(processes) == len(threads):
        return {}
    for rows in stretches(store.operations.rows, most):
        part = store.operations.read(rows, "start", "end", "device", "launch")
        known = np.flatnonzero(part["launch"] >= 0)
        if len(known):
            thread = store.calls.one(part["launch"][known], "thread")
            length = (part["end"] - part["start"])[known]
            found.add(thread, part["device"][known], length)
        store.forget()
    return found.result()


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
