"""How much memory there is, and how much a trace would take."""

from __future__ import annotations

import contextlib
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

_BYTES = {
    # What one row of a table takes at the peak of an analysis in memory; see docs/big-traces.md.
    "CUPTI_ACTIVITY_KIND_KERNEL": 320,
    "CUPTI_ACTIVITY_KIND_MEMCPY": 320,
    "CUPTI_ACTIVITY_KIND_MEMSET": 320,
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": 320,
    "CUPTI_ACTIVITY_KIND_RUNTIME": 130,
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION": 130,
    "NVTX_EVENTS": 250,
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
    uri = f"file:{quote(str(trace.absolute()))}?mode=ro"
    with contextlib.suppress(sqlite3.Error), closing(sqlite3.connect(uri, uri=True)) as database:
        for table, each in _BYTES.items():
            with contextlib.suppress(sqlite3.Error):
                edges = (f"SELECT {end}(rowid) FROM {table}" for end in ("min", "max"))
                first, last = (database.execute(edge).fetchone()[0] for edge in edges)
                if first is not None:
                    # Rowids may have holes; a row takes 16 bytes of the file or more.
                    total += each * min(last - first + 1, trace.stat().st_size // 16)
        return total
    return 0
