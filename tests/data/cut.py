"""How the exports here were cut from the files in LICENSES.

python tests/data/cut.py power_iteration__baseline.sqlite tests/data/power_iteration.sqlite.gz
"""

from __future__ import annotations

import gzip
import sqlite3
import sys
import tempfile
from contextlib import closing
from pathlib import Path

KEPT = {
    "SAMPLING_CALLCHAINS": 200, "SCHED_EVENTS": 200, "COMPOSITE_EVENTS": 200,
    "OSRT_CALLCHAINS": 200, "PROCESSES": 200, "NVTX_EVENTS": 1000,
}  # fmt: skip
"""Rows kept of tables that no figure of the GPU comes from. GPU work and CUDA calls stay whole."""


def cut(source: Path, target: Path) -> None:
    """Write `source`, cut and packed, to `target`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "cut.sqlite"
        path.write_bytes(source.read_bytes())
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            there = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
            for table in KEPT.keys() & there:
                database.execute(
                    f"DELETE FROM {table} WHERE rowid NOT IN "
                    f"(SELECT rowid FROM {table} ORDER BY rowid LIMIT {KEPT[table]})"
                )
            database.execute("VACUUM")
        target.write_bytes(gzip.compress(path.read_bytes(), 9, mtime=0))


if __name__ == "__main__":
    cut(Path(sys.argv[1]), Path(sys.argv[2]))
