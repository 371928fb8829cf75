"""Folders of Parquet or Arrow tables made of a real SQLite export, laid out as NVIDIA says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq


def tables_of(export: Path) -> Iterator[tuple[str, pa.Table]]:
    """Every table of a SQLite export that has rows: nsys leaves out the others."""
    uri = f"{export.absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database:
        database.text_factory = lambda raw: raw.decode("utf-8", "replace")
        names = database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            cursor = database.execute(f'SELECT * FROM "{name}"')
            columns = [column[0] for column in cursor.description]
            rows = cursor.fetchall()
            if rows:
                values = zip(*rows, strict=True)
                yield name, pa.table(dict(zip(columns, values, strict=True)))


def write_parquet(table: pa.Table, name: str, folder: Path) -> None:
    pq.write_table(table, folder / f"{name}.parquet")


def write_arrow_file(table: pa.Table, name: str, folder: Path) -> None:
    path = str(folder / f"{name}.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)


def write_arrow_stream(table: pa.Table, name: str, folder: Path) -> None:
    path = str(folder / f"{name}.arrow")
    with pa.OSFile(path, "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table, max_chunksize=5000)


FORMATS: dict[str, Callable[[pa.Table, str, Path], None]] = {
    "parquet": write_parquet,
    "arrow file": write_arrow_file,
    "arrow stream": write_arrow_stream,
}


def folder_of(
    export: Path,
    folder: Path,
    layout: str = "parquet",
    change: Callable[[str, pa.Table], pa.Table | None] = lambda name, table: table,
) -> Path:
    """Write every table; `change` may give another one, or None to leave it out."""
    folder.mkdir()
    for name, table in tables_of(export):
        changed = change(name, table)
        if changed is not None:
            FORMATS[layout](changed, name, folder)
    return folder


def streams_of(export: Path, file: Path) -> Path:
    """One file, the tables behind one another, each with its name: as `--type arrow` writes it."""
    with file.open("wb") as sink:
        for name, table in tables_of(export):
            named = table.replace_schema_metadata({"table_name": name})
            with pa.ipc.new_stream(sink, named.schema) as writer:
                writer.write_table(named)
    return file
