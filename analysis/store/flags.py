"""What the calls of a stored trace did, marked on them once launches are known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..model.arrays import stretches
from ..model.cuda_calls import GRAPH_LAUNCH, copied_to_host, named
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
