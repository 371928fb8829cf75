"""Which reader a file needs, told by its content and never by its name."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from ..model.trace import Trace
from .arrow.tables import is_columnar, named, open_columnar
from .formats import is_json
from .join import holding_rows, read_tables
from .other_tools import refuse_foreign, refuse_foreign_tables
from .sqlite.database import Database, open_database


def open_trace(path: str | os.PathLike[str]) -> Trace:
    """Read an export of nsys (SQLite of schema 3.0 to 3.28, a folder of Parquet or Arrow tables,
    an Arrow file), a file of one of our own backends, or the JSON of torch.profiler, plain or
    gzipped.

    Raises TraceError, one line, where the file cannot be read as a trace.
    """
    path = Path(path)
    refuse_foreign(path)
    if path.is_file() and is_json(path):
        from .kineto.tables import read_kineto

        return read_kineto(path)
    if is_columnar(path):
        return replace(read_tables(holding_rows(open_columnar(path))), path=named(path))
    return read_tables(_open_sqlite(path))


def open_export(path: Path) -> Database:
    """Open an SQLite export. Raises TraceError where it holds nothing to analyse."""
    refuse_foreign(path)
    return _open_sqlite(path)


def _open_sqlite(path: Path) -> Database:
    database = open_database(path)
    refuse_foreign_tables(path, database.layout)
    return holding_rows(database)
