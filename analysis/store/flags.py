"""What the calls of a stored trace did, and waits that none shows: once launches are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ..model.arrays import Bool, stretches
from ..model.cuda_calls import (
    GRAPH_LAUNCH,
    copied_to_host,
    host_holds_gpu,
    launched_to_host,
    named,
)
from ..model.flag_finder import CallTable, FlagFinder
from ..model.flag_waits import FlagWaits
from ..model.intervals import Int64
from ..model.polling import PollFinder
from .folder import Array, Writer, forget
from .layout import FAILED, GOES_ON, LAUNCHED, SYNCHRONIZING


def flag_launches(
    writer: Writer, launch: Array, flags: Array, names: Sequence[str], most: int
) -> None:
    """Mark the calls that launched something, and copies that held the host; `most` operations at
    once. `launch`: the call of each operation, -1 for none; `flags`: of each call, changed here."""
    graphs = named(tuple(names), GRAPH_LAUNCH.match)
    name, ended = (writer.written("calls", column) for column in ("name", "end"))
    kind, copy = (writer.written("operations", column) for column in ("kind", "copy_kind"))
    end = writer.written("operations", "end")
    for low in range(0, len(launch), most):
        part = slice(low, low + most)
        known = launch[part] >= 0
        flags[launch[part][known]] |= LAUNCHED
        copies = np.flatnonzero(known & copied_to_host(kind[part], copy[part]))
        calls = launch[part][copies]
        copies, calls = (one[~graphs[name[calls]]] for one in (copies, calls))
        flags[calls[ended[calls] >= end[part][copies]]] |= SYNCHRONIZING
        forget(launch, flags, name, ended, kind, copy, end)


def flag_polls(writer: Writer, flags: Array, names: Sequence[str], most: int) -> None:
    """Mark the calls of polls, `most` at once."""
    finder = PollFinder(names)
    if not finder.any:
        return
    thread, name = (writer.written("calls", column) for column in ("thread", "name"))
    for rows in stretches(len(flags), most):
        asking = (flags[rows] & FAILED) > 0
        for first, last in finder.add(thread[rows], name[rows], asking):
            flags[first : last + 1] |= SYNCHRONIZING
            flags[first + 1 : last + 1] |= GOES_ON
        forget(thread, name, flags)


def find_flag_waits(
    writer: Writer, launch: Array, flags: Array, names: Sequence[str], threads: int, most: int
) -> FlagWaits:
    """The waits for flags, once all calls that waited are marked; from `most` operations at once.
    `launch`: the call of each operation, -1 for none."""
    if host_holds_gpu(names):
        return FlagWaits.none()
    calls = {name: writer.written("calls", name) for name in _LOOKED_AT}
    operations = {name: writer.written("operations", name) for name in _COPIES}

    def marked(bit: int) -> Callable[[Int64], Bool]:
        return lambda rows: (flags[rows] & bit) > 0

    table = CallTable(**calls, held=marked(SYNCHRONIZING), goes_on=marked(GOES_ON))
    finder = FlagFinder(table, threads, lambda: forget(flags, *calls.values()))
    for rows in stretches(len(launch), most):
        kind, copy = (operations[name][rows] for name in ("kind", "copy_kind"))
        copies = rows.start + launched_to_host(kind, copy, launch[rows])
        finder.add(launch[copies], operations["end"][copies], operations["stream"][copies])
        forget(launch, *operations.values())
    return finder.result()


_LOOKED_AT = ("start", "end", "thread", "process", "name")
_COPIES = ("kind", "copy_kind", "end", "stream")
