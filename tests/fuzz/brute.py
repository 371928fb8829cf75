"""Busy and idle time worked out again, slowly, by other means than the readers' own.

SQLite rows come through Python's cursor and JSON through the standard library's parser; the union
is a plain loop over Python's integers. None means that this file is not for a simple rule to read
(the reader may still read or refuse it).
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

from analysis.schema import MAX_TIME, OPERATIONS

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
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            there = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            names = {name for (name,) in there}
            for table in OPERATIONS:
                if table.name in names:
                    spans += connection.execute(f'SELECT start, "end" FROM "{table.name}"')
    except (sqlite3.Error, UnicodeDecodeError):
        return None
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
