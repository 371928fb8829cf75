"""How much memory there is, and how much a trace would take."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.readers.sqlite.foreign import PLAIN, connected, read_only

if TYPE_CHECKING:
    from ..analysis.store.opened import Store

_OPERATION, _CALL, _RANGE, _HOLD = 220, 90, 150, 150
"""What one row takes at the peak of an analysis in memory, bytes; see docs/big-traces.md."""
_TABLES = {
    "CUPTI_ACTIVITY_KIND_KERNEL": _OPERATION,
    "CUPTI_ACTIVITY_KIND_MEMCPY": _OPERATION,
    "CUPTI_ACTIVITY_KIND_MEMSET": _OPERATION,
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": _OPERATION,
    "CUPTI_ACTIVITY_KIND_RUNTIME": _CALL,
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": _CALL,
    "NVTX_EVENTS": _RANGE,
    "CUPTI_ACTIVITY_KIND_GRAPH_HOST_NODE_AND_HOST_LAUNCH": _HOLD,
    "GPU_CONTEXT_SWITCH_EVENTS": _HOLD,
}
_FIXED = 150 * 10**6


def available() -> int:
    """Bytes that this process may still take, by the system and by its control group."""
    found = [_meminfo()]
    for limit, used in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        (
            "/sys/fs/cgroup/memory/memory.limit_in_bytes",
            "/sys/fs/cgroup/memory/memory.usage_in_bytes",
        ),
    ):
        with contextlib.suppress(OSError, ValueError):
            found.append(int(Path(limit).read_text()) - int(Path(used).read_text()))
    return max(min(found), 0)


def _meminfo() -> int:
    with contextlib.suppress(OSError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            name, _, value = line.partition(":")
            if name == "MemAvailable":
                return int(value.split()[0]) * 1024
    return 2**33


def needed(trace: Path) -> int:
    """About how many bytes the analysis of an SQLite trace takes in memory, from its row numbers.

    0 where the file cannot be read: whoever reads it next says why.
    """
    total = _FIXED
    with contextlib.suppress(sqlite3.Error), connected(read_only(trace)) as database:
        # A view may have a table's name, and a hostile one could run for ever.
        there = database.execute(f"SELECT name FROM sqlite_master WHERE {PLAIN}").fetchall()
        for table in _TABLES.keys() & {name for (name,) in there}:
            each = _TABLES[table]
            with contextlib.suppress(sqlite3.Error):
                edges = (f"SELECT {end}(rowid) FROM {table}" for end in ("min", "max"))
                first, last = (database.execute(edge).fetchone()[0] for edge in edges)
                if first is not None:
                    # Rowids may have holes; a row takes 16 bytes of the file or more.
                    total += each * min(last - first + 1, trace.stat().st_size // 16)
        return total
    return 0


def needed_by_rows(store: Store) -> int:
    """The same for a stored trace."""
    rows = {group: table.rows for group, table in store.tables.items()}
    calls = rows["calls"] + rows["synchronizations"]
    others = _RANGE * rows["ranges"] + _HOLD * rows["holds"]
    return _FIXED + _OPERATION * rows["operations"] + _CALL * calls + others
