"""Busy and idle time worked out again, slowly, by other means than the readers' own.

SQLite rows come through Python's cursor, JSON through the standard library's parser, Arrow tables
as Python's own lists; the union is a plain loop over Python's integers. None means that this file
is not for a simple rule to read (the reader may still read or refuse it).
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import zlib
from contextlib import closing
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from harness.analysis.model.schema import MAX_TIME, OPERATIONS
from harness.analysis.readers.arrow.tables import SUFFIXES

Span = tuple[object, object]


@dataclass(frozen=True)
class Expected:
    """What the report has to say of all devices together, ns."""

    operations: int
    dropped: int
    window_ns: int
    idle_ns: int


def _expected(spans: list[Span], zero: int = 0) -> Expected:
    kept: list[tuple[int, int]] = []
    for start, end in spans:
        if isinstance(start, int) and isinstance(end, int):
            a, b = start - zero, end - zero
            if -MAX_TIME < a < b < MAX_TIME:
                kept.append((a, b))
    kept.sort()
    busy, reach = 0, None
    for start, end in kept:
        if reach is None or start > reach:
            busy += end - start
        else:
            busy += max(end - reach, 0)
        reach = end if reach is None else max(reach, end)
    window = reach - kept[0][0] if reach is not None else 0
    return Expected(len(kept), len(spans) - len(kept), window, window - busy)


def of_sqlite(path: Path) -> Expected | None:
    """From the start and end columns of the operation tables."""
    spans: list[Span] = []
    wild: list[tuple[object, ...]] = []
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            there = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = {str(name).lower() for (name,) in there}  # to SQLite they are the same
            for table in OPERATIONS:
                if table.name.lower() in names:
                    spans += connection.execute(f'SELECT start, "end" FROM "{table.name}"')
            calls = "CUPTI_ACTIVITY_KIND_RUNTIME"
            if calls.lower() in names:
                wild += connection.execute(f'SELECT start FROM "{calls}" LIMIT 64').fetchall()
    except (sqlite3.Error, UnicodeDecodeError):
        return None
    # Times that count from 1970 are taken down, if most of the first ones do.
    late = [start for start, *_ in wild if isinstance(start, int) and start >= MAX_TIME]
    return None if 4 * len(late) > len(wild) > 0 else _expected(spans)


def of_folder(folder: Path) -> Expected | None:
    """From the start and end columns of the operation tables of a folder."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    spans: list[Span] = []
    names = {table.name.lower() for table in OPERATIONS}
    ours = (p for p in folder.iterdir() if p.is_file() and p.suffix in SUFFIXES)
    files = [p for p in ours if p.stem.lower() in names]
    if len({p.stem.lower() for p in files}) < len(files):
        return None  # one table in two files: which of them is read is the reader's own choice
    for file in files:
        try:
            if file.suffix == ".parquet":
                table = pq.ParquetFile(file).read()
            elif file.read_bytes().startswith(b"ARROW1"):
                table = pa.ipc.open_file(file).read_all()
            else:
                table = pa.ipc.open_stream(file).read_all()
            rows = [table[name] for name in ("start", "end")]
        except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError):
            return None
        if not all(pa.types.is_signed_integer(column.type) for column in rows):
            return None  # how other types become times is the reader's own choice
        spans += zip(*(column.to_pylist() for column in rows), strict=True)
    return _expected(spans)


_OPERATIONS = ("kernel", "Kernel", "gpu_memcpy", "Memcpy", "gpu_memset", "Memset")


def of_json(path: Path) -> Expected | None:
    """From the complete events of the GPU's categories; times relative to the profiler's span."""
    data = path.read_bytes()
    try:
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        loaded = json.loads(data.decode("utf-8-sig"), parse_float=Decimal)
    except (ValueError, OSError, EOFError, zlib.error, RecursionError, InvalidOperation):
        return None
    events = loaded.get("traceEvents") if isinstance(loaded, dict) else loaded
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        return None
    spans: list[Span] = []
    for event in events:
        if event.get("ph") == "X" and event.get("cat") == "Trace":
            return None  # sets the clock's zero: only the order of magnitude of times would differ
        if event.get("ph") == "X" and event.get("cat") in _OPERATIONS:
            start, duration = _ns(event.get("ts")), _ns(event.get("dur"))
            if isinstance(start, str) or isinstance(duration, str):
                return None  # numbers inside quotes: read leniently
            if start is None or duration is None:
                spans.append((None, None))
            elif abs(start) >= MAX_TIME // 2 or abs(duration) >= MAX_TIME // 2:
                return None  # near the limit, which is counted from a zero that this rule lacks
            else:
                spans.append((start, start + duration))
    return _expected(spans)


def _ns(value: Any) -> int | str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return None
    return int((Decimal(value) * 1000).to_integral_value())
