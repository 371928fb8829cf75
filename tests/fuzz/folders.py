"""Folders of Parquet and Arrow tables, as one blob of bytes each.

A mutant is a ZIP archive: a target's mutant is bytes, and a folder is many files. Its tables are
changed by the mutators of SQLite's (tables.py) and then written as Arrow. Here is what only Arrow
and folders have: types, encodings, layouts, files.
"""

from __future__ import annotations

import io
import sqlite3
import tempfile
import zipfile
from collections.abc import Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.analysis.columnar import FORMATS
from tests.analysis.test_columnar import as_nsys_writes, in_dictionaries

from . import bases, blobs
from . import tables as sql
from .mutator import Mutator, named, some

Tables = dict[str, pa.Table]

TIMED = ("CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY", "CUPTI_ACTIVITY_KIND_RUNTIME",
         "NVTX_EVENTS", "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION")  # fmt: skip
DAY = (2020, 1, 1, 12, 0, 0)
"""An archive's files have a time; it is no choice of the mutant."""


@cache
def base_tables(name: str) -> Tables:
    """The tables of a base export."""
    return of_export(bases.sqlite_base(name))


def of_export(data: bytes) -> Tables:
    """The tables of a changed export, in the types that Arrow finds for what they hold."""
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
        named = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        found = {}
        for (name,) in named.fetchall():
            cursor = connection.execute('SELECT * FROM "{}"'.format(name.replace('"', '""')))
            columns, rows = [column[0] for column in cursor.description], cursor.fetchall()
            if rows:
                values = map(_array, zip(*rows, strict=True))
                found[name] = pa.table(dict(zip(columns, values, strict=True)))
        return found


def _array(values: Sequence[Any]) -> pa.Array:
    """Of the type that fits them all, else texts."""
    try:
        return pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return pa.array([None if value is None else str(value) for value in values], pa.string())


def packed(files: dict[str, bytes | None]) -> bytes:
    """An archive; None is a folder."""
    blob = io.BytesIO()
    with zipfile.ZipFile(blob, "w") as archive:
        for name, data in sorted(files.items()):
            info = zipfile.ZipInfo(name + "/" * (data is None), DAY)
            archive.writestr(info, data or b"")
    return blob.getvalue()


def unpack(data: bytes, folder: Path) -> None:
    """Its files, in a folder that is not there yet."""
    folder.mkdir(parents=True)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        archive.extractall(folder)


def written(tables: Tables, layout: str = "parquet") -> dict[str, bytes | None]:
    """File name to content, in one of the three formats."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "tables"
        folder.mkdir()
        for name, table in tables.items():
            FORMATS[layout](table, name, folder)
        return {path.name: path.read_bytes() for path in folder.iterdir()}


def make(mutator: str, random: Random) -> bytes:
    """The mutant of a mutator and its choices."""
    base = random.choice(bases.SQLITE)
    layout = random.choice(("parquet", "parquet", *FORMATS))
    if mutator in sql.ANY_FORMAT:
        changed = sql.mutate(bases.sqlite_base(base), mutator, random)
        return packed(written(of_export(changed), layout))
    tables = dict(base_tables(base))
    if mutator in TABLES:
        TABLES[mutator].apply(tables, random)
    if mutator in LAYOUTS:
        return packed(LAYOUTS[mutator].apply(tables, random))
    files = written(tables, layout)
    if mutator in FILES:
        FILES[mutator].apply(files, random)
    elif mutator.startswith("bytes:"):
        name = random.choice(sorted(files))
        content = bytearray(files[name] or b"")
        blobs.MUTATORS[mutator.removeprefix("bytes:")].apply(content, random)
        files[name] = bytes(content)
    return packed(files)


# Tables


def _pick(tables: Tables, random: Random) -> str:
    timed = [name for name in TIMED if name in tables]
    return random.choice(timed if timed and random.random() < 2 / 3 else sorted(tables))


def _column(tables: Tables, random: Random) -> tuple[str, str]:
    table = _pick(tables, random)
    return table, random.choice(tables[table].column_names)


def _replaced(tables: Tables, table: str, column: str, values: Any) -> None:
    at = tables[table].column_names.index(column)
    tables[table] = tables[table].set_column(at, column, values)


def odd_column_names(tables: Tables, random: Random) -> None:
    """Names that SQLite would not take: none, a NUL, one that another column has."""
    table, column = _column(tables, random)
    new = random.choice(("", "a.b", "\x00", "start"))
    names = [new if name == column else name for name in tables[table].column_names]
    tables[table] = tables[table].rename_columns(names)


def no_utf8(tables: Tables, random: Random) -> None:
    """Bytes in a column that says that it holds text, or that says nothing."""
    table, column = _column(tables, random)
    raw = [str(value).encode() for value in tables[table][column].to_pylist()]
    for row in some(random, len(raw)):
        raw[row] = random.choice((b"\xff\xfe", b"Step \x80", b"\xed\xa0\x80", b"\xc3"))
    values = pa.array(raw, pa.binary())
    if random.random() < 0.5:
        values = pa.Array.from_buffers(pa.string(), len(values), values.buffers())
    _replaced(tables, table, column, values)


KINDS = (
    pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint32(), pa.uint64(), pa.float32(),
    pa.float64(), pa.bool_(), pa.string(), pa.large_string(), pa.binary(), pa.date32(),
    pa.timestamp("s"), pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.duration("ms"),
    pa.decimal128(30, 2), pa.null(),
)  # fmt: skip


def arrow_types(tables: Tables, random: Random) -> None:
    table, column = _column(tables, random)
    values = tables[table][column]
    kind = random.choice(KINDS)
    try:
        found = values.cast(kind, safe=False)
    except pa.ArrowException:
        found = pa.nulls(len(values), kind)
    _replaced(tables, table, column, found)


def nest(tables: Tables, random: Random) -> None:
    """A list, a struct or a dictionary where a number should be."""
    table, column = _column(tables, random)
    values = tables[table][column].to_pylist()
    shape = random.randrange(3)
    if shape == 0:
        _replaced(tables, table, column, pa.array([[value, value] for value in values]))
    elif shape == 1:
        _replaced(tables, table, column, pa.array([{"value": value} for value in values]))
    elif not pa.types.is_null(tables[table][column].type):
        twice = tables[table][column].cast(pa.string(), safe=False).dictionary_encode()
        _replaced(tables, table, column, twice)


# What must not matter


def reorder_columns(tables: Tables, random: Random) -> None:
    for name, table in tables.items():
        columns = list(table.column_names)
        random.shuffle(columns)
        tables[name] = table.select(columns)


def other_types(tables: Tables, random: Random) -> None:
    for name, table in tables.items():
        tables[name] = as_nsys_writes(name, table)


def dictionaries(tables: Tables, random: Random) -> None:
    for name, table in tables.items():
        tables[name] = in_dictionaries(name, table)


def many_chunks(tables: Tables, random: Random) -> None:
    for name, table in tables.items():
        cut = random.randrange(table.num_rows + 1)
        parts = [table.slice(0, cut), table.slice(0, 0), table.slice(cut)]
        tables[name] = pa.concat_tables(parts)


def row_groups(tables: Tables, random: Random) -> dict[str, bytes | None]:
    """Parquet's own freedoms: groups, pages, versions, compression."""
    found: dict[str, bytes | None] = {}
    for name, table in tables.items():
        sink = io.BytesIO()
        pq.write_table(
            table, sink, row_group_size=random.choice((1, 3, 1000)),
            compression=random.choice(("none", "snappy", "zstd", "gzip")),
            use_dictionary=random.random() < 0.5, data_page_size=random.choice((64, 1 << 20)),
            version=random.choice(("1.0", "2.4", "2.6")),
        )  # fmt: skip
        found[f"{name}.parquet"] = sink.getvalue()
    return found


def mixed_formats(tables: Tables, random: Random) -> dict[str, bytes | None]:
    found: dict[str, bytes | None] = {}
    for name, table in tables.items():
        found |= written({name: table}, random.choice(sorted(FORMATS)))
    return found


# Files


def _file(files: dict[str, bytes | None], random: Random) -> str:
    return random.choice(sorted(files))


def lose_a_file(files: dict[str, bytes | None], random: Random) -> None:
    del files[_file(files, random)]


def empty_file(files: dict[str, bytes | None], random: Random) -> None:
    files[_file(files, random)] = b""


def a_folder_for_a_file(files: dict[str, bytes | None], random: Random) -> None:
    files[_file(files, random)] = None


def other_ending(files: dict[str, bytes | None], random: Random) -> None:
    name = _file(files, random)
    stem = name.rpartition(".")[0]
    new = stem + random.choice((".parquet", ".arrow", ".arrows", ".feather", ".csv", ""))
    files[new] = files.pop(name)


def other_name(files: dict[str, bytes | None], random: Random) -> None:
    name = _file(files, random)
    new = random.choice(("x" * 150, "a\nb", "\x1b[31m", " ", name.lower().partition(".")[0], ".h"))
    files[new + Path(name).suffix] = files.pop(name)


def twice(files: dict[str, bytes | None], random: Random) -> None:
    """One table in two files, of which one is damaged or another's."""
    name = _file(files, random)
    stem = name.rpartition(".")[0]
    files[stem + random.choice((".feather", ".parquet", ".arrow"))] = files[_file(files, random)]


def other_content(files: dict[str, bytes | None], random: Random) -> None:
    made = (b"PAR1", b"PAR1PAR1", b"ARROW1", b"ARROW1\0\0" + b"\xff" * 64, b"\xff\xff\xff\xff",
            b"\xff\xff\xff\xff\xff\xff\xff\x7f" * 4, b"SQLite format 3\0", b"{}")  # fmt: skip
    files[_file(files, random)] = random.choice(made)


Made = Mutator[Any]
UNSEEN_TABLES: dict[str, Made] = named(
    (reorder_columns, other_types, dictionaries, many_chunks), unseen=True
)
TABLES: dict[str, Made] = UNSEEN_TABLES | named((odd_column_names, no_utf8, arrow_types, nest))
LAYOUTS: dict[str, Made] = named((row_groups, mixed_formats), unseen=True)
FILES: dict[str, Made] = named(
    (lose_a_file, empty_file, a_folder_for_a_file, other_ending, other_name, twice, other_content)
)
MUTATORS = (*sql.ANY_FORMAT, *TABLES, *LAYOUTS, *FILES)
UNSEEN = frozenset((*UNSEEN_TABLES, *LAYOUTS, *(sql.UNSEEN.keys() & sql.ANY_FORMAT)))
