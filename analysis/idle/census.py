"""Who was recorded: of each process its ranges, CUDA calls, launches and GPU operations."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..model.arrays import stretches
from ..model.intervals import Int64
from ..model.schema import PID_MASK, pid_of
from ..store.folder import Table
from ..store.opened import Store
from ..store.whole import Whole, WholeTable
from .proposals import Proposed, proposed_ranges
from .sizes import Sizes


class ProcessCount(Struct, frozen=True):
    """One process of a trace."""

    pid: int
    ranges: int
    calls: int
    """CUDA (or HIP, or another accelerator's) API calls."""
    launches: int
    """Of these, those that start kernels or graphs and should have left GPU operations."""
    recorded: int
    """Of the launches, those that left one."""
    operations: int
    common: Proposed = ()
    """Its ranges that may be the steps."""


def unrecorded(processes: tuple[ProcessCount, ...]) -> tuple[ProcessCount, ...]:
    """Those that launched and of whose work nothing is there, while that of others is.

    None where GPU operations do not say whose they are.
    """
    working = [one for one in processes if one.operations]
    if not working or any(one.pid == 0 for one in working):
        return ()
    return tuple(one for one in processes if one.launches and not one.operations)


def count_processes(
    tables: Whole | Store, sizes: Sizes, launches: Int64, recorded: Int64
) -> tuple[ProcessCount, ...]:
    """Count the rows of each process. `launches`, `recorded`: shape (processes,)."""
    count = len(tables.processes)
    operations = _by_code(tables.operations, "process", sizes.operations, count)
    calls = _by_code(tables.calls, "process", sizes.host_rows, count)
    by_thread = _by_code(tables.ranges, "thread", sizes.host_rows, len(tables.threads))
    place = {pid: k for k, pid in enumerate(tables.processes)}
    owner = np.array([place.get(t.global_tid & PID_MASK, -1) for t in tables.threads], np.int64)
    ranges = np.array([by_thread[owner == k].sum() for k in range(count)], np.int64)
    return tuple(
        ProcessCount(
            pid=pid_of(tables.processes[k]),
            ranges=int(ranges[k]),
            calls=int(calls[k]),
            launches=int(launches[k]),
            recorded=int(recorded[k]),
            operations=int(operations[k]),
            common=proposed_ranges(tables, owner == k) if count > 1 and ranges[k] else (),
        )
        for k in range(count)
    )


def _by_code(table: WholeTable | Table, name: str, most: int, count: int) -> Int64:
    """Rows of each code of a column, shape (count,)."""
    if count == 1:
        return np.array([table.rows], np.int64)
    found = np.zeros(count, np.int64)
    for rows in stretches(table.rows, most):
        codes = table.one(rows, name)
        found += np.bincount(codes[codes >= 0], minlength=count)
    return found
