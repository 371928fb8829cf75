"""Rows on their way into a SQLite file: column-checked, lazy, written in one piece.

The layout lives in `ddl.sql`. A table that got no rows is left out of the file, as nsys leaves it
out; the few that a reader looks for in every export are always there.
"""

from __future__ import annotations

import operator
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct, field
from msgspec.structs import replace

from ..model.errors import CannotWrite, FileExists
from .errors import BadColumn, NotInSchema

Value = int | float | str | None
Columns = Sequence[Value] | np.ndarray[Any, Any]

ALWAYS = frozenset(
    {
        "StringIds",
        "META_DATA_EXPORT",
        "ANALYSIS_DETAILS",
        "TARGET_INFO_SESSION_START_TIME",
        "PROCESSES",
        "ThreadNames",
    }
)
"""Written even without rows; so are the ENUM_ tables."""

_SLICE = 65536
_INT64 = range(-(2**63), 2**63)
_VERSION_FIELD = 96
"""Where a SQLite file names the library that wrote it."""

_VERSION = (3_040_000).to_bytes(4, "big")


class Definition(Struct, frozen=True):
    """One table of `ddl.sql`: its statements, its columns' types, and the columns that bar NULL."""

    create: str
    inserts: tuple[str, ...]
    types: Mapping[str, str]
    required: frozenset[str]


class _Chunk(Struct):
    """Rows that fill the same columns: tuples, or one sequence (or one value) a column."""

    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    bulk: tuple[Columns | Value, ...] | None = None
    length: int = 0

    def __iter__(self) -> Iterator[tuple[Value, ...]]:
        if self.bulk is None:
            yield from self.rows
            return
        for low in range(0, self.length, _SLICE):
            high = min(low + _SLICE, self.length)
            yield from zip(*(_cut(column, low, high) for column in self.bulk), strict=True)


def _cut(column: Columns | Value, low: int, high: int) -> Iterable[Value]:
    if isinstance(column, np.ndarray):
        values: list[Value] = column[low:high].tolist()
        return values
    if column is None or isinstance(column, int | float | str):
        return repeat(column, high - low)
    return column[low:high]


@cache
def definitions() -> Mapping[str, Definition]:
    """Every table of `ddl.sql`, in file order."""
    script = re.sub(r"^--.*$", "", Path(__file__).with_name("ddl.sql").read_text(), flags=re.M)
    statements = [statement.strip() for statement in script.split(";\n") if statement.strip()]
    found: dict[str, Definition] = {}
    with closing(sqlite3.connect(":memory:")) as memory:
        for statement in statements:
            if not statement.startswith("CREATE TABLE "):
                continue
            name = statement.split()[2]
            memory.execute(statement)
            info = memory.execute(f"PRAGMA table_info({name})").fetchall()
            found[name] = Definition(
                create=statement,
                inserts=tuple(s for s in statements if s.startswith(f"INSERT INTO {name} ")),
                types={column: kind for _, column, kind, *_ in info},
                required=frozenset(row[1] for row in info if row[3]),
            )
    return found


class TableStore:
    """Collects rows per table, in the order given, and writes them once.

    `nullable=True` drops the NOT NULL constraints from the file, for rows that break them on
    purpose.
    """

    def __init__(self, *, nullable: bool = False) -> None:
        self.nullable = nullable
        self._chunks: dict[str, list[_Chunk]] = {}

    def add(self, table: str, values: Mapping[str, Value]) -> None:
        """Append one row; columns that are not named are NULL, or 0 where NULL is barred."""
        types = self._types(table, values)
        row = tuple(
            value
            if value is None or isinstance(value, str)
            else self._number(table, name, types[name], value)
            for name, value in values.items()
        )
        columns = tuple(values)
        chunks = self._chunks.setdefault(table, [])
        if not chunks or chunks[-1].bulk is not None or chunks[-1].columns != columns:
            chunks.append(_Chunk(columns))
        chunks[-1].rows.append(row)
        chunks[-1].length += 1

    def bulk(self, table: str, columns: Mapping[str, Columns | Value]) -> int:
        """Append many rows given as columns of one length; a single value is repeated.

        Arrays and sequences are kept by reference until `write`. Returns the number of rows.
        """
        types = self._types(table, columns)
        lengths: dict[str, int] = {}
        for name, column in columns.items():
            if column is None or isinstance(column, int | float | str):
                continue
            lengths[name] = len(column)
            if isinstance(column, np.ndarray) and types[name] == "INTEGER":
                self._integers(table, name, column)
        if len(set(lengths.values())) != 1:
            shown = ", ".join(f"{name}: {length}" for name, length in lengths.items())
            raise BadColumn(
                f"{table}: columns of one length are needed, found {shown or 'single values only'}"
            )
        length = next(iter(lengths.values()))
        chunk = _Chunk(tuple(columns), bulk=tuple(columns.values()), length=length)
        self._chunks.setdefault(table, []).append(chunk)
        return length

    def copy(self) -> TableStore:
        """A store with the same rows, to which more can be added without changing this one."""
        twin = TableStore(nullable=self.nullable)
        for table, chunks in self._chunks.items():
            twin._chunks[table] = [replace(chunk, rows=list(chunk.rows)) for chunk in chunks]
        return twin

    def rows(self, table: str) -> int:
        """Number of rows held for a table."""
        return sum(chunk.length for chunk in self._chunks.get(table, ()))

    def write(self, path: Path, *, force: bool = False) -> None:
        """Write a complete SQLite file beside `path` and rename it there.

        The same rows give the same bytes. There is no write-ahead log: readers that open the file
        as immutable see every row.

        Raises:
            TraceError: `path` exists and `force` is not set, or a value fits no column.
            OSError: the folder is missing or cannot be written.
        """
        if not force and path.exists():
            raise FileExists(f"{path} already exists", remedy="choose another name or use --force")
        beside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        beside.unlink(missing_ok=True)
        beside.touch()  # sqlite3's own message for a missing folder names no folder
        try:
            with closing(sqlite3.connect(beside, isolation_level=None)) as database:
                self._fill(database)
            # Otherwise the bytes would depend on the SQLite library of this Python.
            with beside.open("r+b") as file:
                file.seek(_VERSION_FIELD)
                file.write(_VERSION)
            os.replace(beside, path)
        except (sqlite3.Error, OverflowError, UnicodeEncodeError) as error:
            raise CannotWrite(f"{path} could not be written: {error}") from error
        finally:
            beside.unlink(missing_ok=True)

    def _fill(self, database: sqlite3.Connection) -> None:
        database.execute("PRAGMA page_size = 4096")
        database.execute("PRAGMA journal_mode = OFF")  # a file that fails is thrown away whole
        database.execute("PRAGMA synchronous = OFF")
        database.execute("BEGIN")
        for name, table in definitions().items():
            chunks = self._chunks.get(name, [])
            if not (chunks or name in ALWAYS or table.inserts):
                continue
            create = table.create.replace(" NOT NULL", "") if self.nullable else table.create
            database.execute(create)
            for insert in table.inserts:
                database.execute(insert)
            for chunk in chunks:
                zeros = sorted(table.required.difference(chunk.columns))
                names = ", ".join((*chunk.columns, *zeros))
                holes = ", ".join((*("?" * len(chunk.columns)), *("0" * len(zeros))))
                database.executemany(f"INSERT INTO {name} ({names}) VALUES ({holes})", chunk)
        database.execute("COMMIT")

    @staticmethod
    def _types(table: str, columns: Iterable[str]) -> Mapping[str, str]:
        if table not in definitions():
            raise NotInSchema(
                f"{table!r} is not a table of this schema", remedy="see analysis/writer/ddl.sql"
            )
        types = definitions()[table].types
        unknown = [name for name in columns if name not in types]
        if unknown:
            raise NotInSchema(
                f"{table} has no column {', '.join(unknown)}", remedy=f"it has {', '.join(types)}"
            )
        return types

    @staticmethod
    def _number(table: str, name: str, kind: str, value: int | float) -> int | float:
        if kind == "REAL":
            return float(value)
        try:
            whole = operator.index(value)  # type: ignore[arg-type]  # also numpy's integers
        except TypeError:
            raise BadColumn(f"{table}.{name} needs an integer, found {value!r}") from None
        if whole not in _INT64:
            raise BadColumn(f"{table}.{name} needs a 64-bit integer, found {whole}")
        return whole

    @staticmethod
    def _integers(table: str, name: str, column: np.ndarray[Any, Any]) -> None:
        if column.dtype.kind not in "iubO":
            raise BadColumn(f"{table}.{name} needs integers, found dtype {column.dtype}")
        if column.dtype.kind == "u" and len(column) and int(column.max()) not in _INT64:
            raise BadColumn(f"{table}.{name} needs 64-bit integers, found {column.max()}")
