#!/usr/bin/env python
"""Grow a real Nsight Systems export by repeating it in time, to measure how tools scale.

    python benchmarks/grow.py export.sqlite big.sqlite --kernels 1000000

Every copy is shifted by the length of the recording and gets correlation ids of its own, so that
each call still belongs to its own GPU operation. Only the tables that anyone's gap analysis reads
are repeated: GPU operations, CUDA calls, synchronisations, NVTX ranges and profiler overhead.
With --shuffle the copies come in no order of time, nor do the rows of a copy: what a reader meets
that relies on nothing.
"""

from __future__ import annotations

import argparse
import gzip
import os
import random
import sqlite3
import sys
import time
from contextlib import closing
from pathlib import Path

KERNEL = "CUPTI_ACTIVITY_KIND_KERNEL"
TABLES = (
    KERNEL,
    "CUPTI_ACTIVITY_KIND_MEMCPY",
    "CUPTI_ACTIVITY_KIND_MEMSET",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
    "CUPTI_ACTIVITY_KIND_RUNTIME",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
    "NVTX_EVENTS",
    "PROFILER_OVERHEAD",
)
RANGE_TYPES = (59, 60, 70, 71)
"""Domains are created once; only ranges are repeated."""


REAL = Path(__file__).parent.parent / "tests" / "data" / "power_iteration.sqlite.gz"


class GrowError(Exception):
    """The trace cannot be grown; one line that says why."""


def real(folder: Path) -> Path:
    """The real export that benchmarks grow unless they are given another, unpacked to `folder`."""
    path = folder / REAL.stem
    path.write_bytes(gzip.decompress(REAL.read_bytes()))
    return path


def grow(
    source: Path, target: Path, kernels: int, *, force: bool = False, shuffle: bool = False
) -> dict[str, int]:
    """Write `target` with at least `kernels` kernels; returns the rows of each grown table.

    The file appears complete or not at all. Rows come in the order of the copies, so as sorted as
    the source is; `shuffle` mixes copies, and the rows of each, the same way every time.
    """
    if not source.is_file():
        raise GrowError(f"{source} is no file")
    if target.exists() and not force:
        raise GrowError(f"{target} already exists; choose another name or use --force")
    beside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with closing(sqlite3.connect(beside, isolation_level=None)) as database:
            with closing(
                sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
            ) as original:
                original.backup(database)
            counts = _repeat(database, kernels, shuffle=shuffle)
        os.replace(beside, target)
        return counts
    finally:
        beside.unlink(missing_ok=True)


def _repeat(database: sqlite3.Connection, kernels: int, *, shuffle: bool) -> dict[str, int]:
    database.execute("PRAGMA journal_mode = OFF")
    database.execute("PRAGMA synchronous = OFF")
    database.execute("PRAGMA temp_store = MEMORY")
    database.execute("PRAGMA cache_size = -262144")
    here = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    tables = [name for name in TABLES if name in here]
    one = (
        dict(database.execute(f"SELECT '{KERNEL}', COUNT(*) FROM {KERNEL}"))
        if KERNEL in here
        else {}
    )
    if not one.get(KERNEL):
        raise GrowError("the trace has no kernels to repeat")
    copies = max(1, -(-kernels // one[KERNEL]))
    low, high = _extent(database, tables)
    (ids,) = database.execute(
        "SELECT MAX(correlationId) FROM CUPTI_ACTIVITY_KIND_RUNTIME"
    ).fetchone()
    if ids is None:
        raise GrowError("the trace has no CUDA calls to repeat")
    shift = high - low + 1_000_000
    database.execute("BEGIN")
    for table in tables:
        columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
        where = f"WHERE eventType IN {RANGE_TYPES}" if table == "NVTX_EVENTS" else ""
        database.execute(f"CREATE TEMP TABLE base AS SELECT * FROM main.{table} {where}")
        chosen = ", ".join(_shifted(column) for column in columns)
        statement = f"INSERT INTO main.{table} SELECT {chosen} FROM temp.base"
        order = list(range(1, copies))
        if shuffle:
            random.Random(copies).shuffle(order)
            statement += " ORDER BY (rowid * 2654435761 + :id) % 4294967291"
            order.append(0)
            database.execute(f"DELETE FROM main.{table} {where}")
        for copy in order:
            database.execute(statement, {"time": copy * shift, "id": copy * (ids + 1)})
        database.execute("DROP TABLE temp.base")
    if "ANALYSIS_DETAILS" in here:
        grown = {"grown": (copies - 1) * shift}
        database.execute("UPDATE ANALYSIS_DETAILS SET duration = duration + :grown", grown)
    database.execute("COMMIT")
    return {t: database.execute(f"SELECT COUNT(*) FROM {t}").fetchone()[0] for t in tables}


def _extent(database: sqlite3.Connection, tables: list[str]) -> tuple[int, int]:
    """First start and last end of everything that is repeated, ns."""
    edges = []
    for table in tables:
        where = f"WHERE eventType IN {RANGE_TYPES}" if table == "NVTX_EVENTS" else ""
        edges.append(
            database.execute(f"SELECT MIN(start), MAX(end) FROM {table} {where}").fetchone()
        )
    lows, highs = zip(*((low, high) for low, high in edges if low is not None), strict=True)
    return min(lows), max(highs)


def _shifted(column: str) -> str:
    if column in ("start", "end"):
        return f'"{column}" + :time'
    if column == "correlationId":
        return "correlationId + :id"
    return f'"{column}"'


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--kernels", type=int, default=1_000_000)
    parser.add_argument("--force", action="store_true", help="overwrite the target")
    parser.add_argument("--shuffle", action="store_true", help="rows in no order of time")
    options = parser.parse_args()
    begun = time.perf_counter()
    try:
        counts = grow(
            options.source,
            options.target,
            options.kernels,
            force=options.force,
            shuffle=options.shuffle,
        )
    except (GrowError, OSError, sqlite3.Error) as error:
        print(f"grow: {error}", file=sys.stderr)
        return 1
    for table, rows in counts.items():
        print(f"{rows:>12,} {table}")
    size = options.target.stat().st_size / 1e6
    print(f"{size:,.0f} MB in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
