"""A SQLite file, read-only, as typed columns.

The rows go through Arrow (adbc-driver-sqlite) because Python's own cursor costs about five times
as much per value; the small questions (which tables, which columns) go through the standard
library.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from numpy.typing import NDArray

from .arrow import ArrowError, batches
from .arrow import Column as ArrowColumn
from .btree import Pages
from .errors import TraceError
from .schema import NULL, Column, Table

Columns = dict[str, Any]
"""Column name to int64 array of shape (rows,), or list of str for text columns."""

_MAGIC = b"SQLite format 3\x00"
_BATCH_ROWS = "65536"
_ALONE_BYTES = 1 << 20
"""Files up to this size are read by one thread: starting several takes longer."""
_FEW_ROWS, _SMALL_BYTES = "256", 16 << 20
"""Rows of text at a time from files up to that size: damage can give each the whole file's text."""
_MOST_TEXT = 4
"""Bytes of text that a byte of the file may give: an integer can be read as text, too."""
_STRETCH = 1 << 18
"""Rowids that one query reads."""


class Database:
    """One SQLite file, opened so that nothing can be written to it or beside it.

    `layout`: the columns of each table. `shown`: the file's name in messages; `path` is where its
    manifest would lie beside it. Every read has a connection of its own, so that several
    run at once.
    """

    def __init__(
        self, path: Path, uri: str, layout: dict[str, tuple[str, ...]], trees: _Trees
    ) -> None:
        self.path = self.shown = path
        self.layout = layout
        self._trees = trees
        self._uri = uri
        self._size = path.stat().st_size

    def has(self, table: Table) -> bool:
        """Whether the file holds this table, under any of its names."""
        return self._actual(table) is not None

    def _actual(self, table: Table) -> str | None:
        name = next((n for n in (table.name, *table.others) if n in self.layout), None)
        if name is not None and table.optional:
            present = self.layout[name]
            whole = all(
                c.absent is not None or any(n in present for n in (c.name, *c.others))
                for c in table.columns
            )
            return name if whole else None
        return name

    def read(self, table: Table) -> Columns:
        """Every declared column of `table`; empty columns where the table is absent.

        Raises TraceError where a required column is missing or a column holds another type.
        """
        return self.read_all((table,))[0]

    def read_all(self, tables: tuple[Table, ...]) -> list[Columns]:
        """The same for several tables at once, on all cores: long tables are cut by rowid."""
        with _connect(self._uri) as connection:
            plans = [self._plan(table, connection) for table in tables]
        jobs = [(plan, stretch) for plan in plans for stretch in plan.stretches]
        if len(jobs) > 1 and self._size > _ALONE_BYTES:
            with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
                list(pool.map(lambda job: self._fill(*job), jobs))
        else:
            for job in jobs:
                self._fill(*job)
        return [plan.columns() for plan in plans]

    def _plan(self, table: Table, connection: sqlite3.Connection) -> _Plan:
        """How to read a table: one query a stretch of rowids, and room for what they give."""
        actual = self._actual(table)
        if actual is None:
            return _Plan(table, "", [])
        self._trees.check(actual)
        present = self.layout[actual]
        terms = ", ".join(_term(c, actual, present, self.path) for c in table.columns)
        sql = f'SELECT {terms} FROM "{actual}" WHERE ({table.where or 1})'
        taken = {name.lower() for name in present}
        rowid = next((n for n in ("rowid", "_rowid_", "oid") if n not in taken), None)
        if rowid is None:  # columns of the table have all its names
            return _Plan(table, actual, [_Stretch(sql, None)])
        # Each on its own: asked for together, SQLite would walk the whole table.
        edges = (f'SELECT {end}({rowid}) FROM "{actual}"' for end in ("min", "max"))
        try:
            first, last = (connection.execute(edge).fetchone()[0] for edge in edges)
        except _UNREADABLE as error:
            raise TraceError(_say(self.path, actual, error), remedy=_REEXPORT) from error
        # Rows take 16 bytes or more: many more rowids than that have holes, and get no room.
        if first is None or last - first >= self._size // 16:
            return _Plan(table, actual, [_Stretch(sql, None)])
        if last < first:
            raise _out_of_order(self.path, actual)
        if last - first < _STRETCH:
            # Without a condition on rowids, which a search would meet too early in a damaged table.
            return _Plan(table, actual, [_Stretch(sql, 0)], room=last - first + 1)
        return _Plan(
            table,
            actual,
            [
                _Stretch(f"{sql} AND {rowid} >= {k} AND {rowid} < {k + _STRETCH}", k - first)
                for k in range(first, last + 1, _STRETCH)
            ],
            room=last - first + 1,
        )

    def _fill(self, plan: _Plan, stretch: _Stretch) -> None:
        """Run one query of a plan and keep its rows."""
        import adbc_driver_manager
        import adbc_driver_sqlite

        try:
            with (
                adbc_driver_sqlite.connect(self._uri) as driver,
                adbc_driver_manager.AdbcConnection(driver) as connection,
                adbc_driver_manager.AdbcStatement(connection) as statement,
            ):
                rows = _FEW_ROWS if plan.has_text and self._size <= _SMALL_BYTES else _BATCH_ROWS
                statement.set_options(**{"adbc.sqlite.query.batch_rows": rows})
                statement.set_sql_query(stretch.sql)
                handle, _ = statement.execute_query()
                text = 0
                for batch in batches(handle.address):
                    plan.take(stretch, batch, self.path)
                    text += sum(column.text_bytes for column in batch)
                    if text > _MOST_TEXT * self._size + _SMALL_BYTES:
                        raise TraceError(
                            f"{self.path} is damaged: table {plan.actual} holds more text than "
                            f"its {self._size} bytes can",
                            remedy=_REEXPORT,
                        )
        except (adbc_driver_manager.Error, ArrowError) as error:
            raise TraceError(_say(self.path, plan.actual, error), remedy=_REEXPORT) from error


@dataclass
class _Stretch:
    """One query, where its rows go (None: nobody knows how many), and how many it has given."""

    sql: str
    at: int | None
    rows: int = 0
    texts: dict[str, list[str]] = field(default_factory=dict)
    loose: dict[str, list[NDArray[np.int64]]] = field(default_factory=dict)


class _Plan:
    """The reading of one table: rows go straight to their place in arrays made beforehand.

    Gathering batches and joining them afterwards would touch twice the memory.
    """

    def __init__(
        self, table: Table, actual: str, stretches: list[_Stretch], *, room: int = 0
    ) -> None:
        self.table = table
        self.actual = actual
        self.stretches = stretches
        self._room = room
        self.has_text = any(c.text for c in table.columns)
        self._numbers = {c.name: np.empty(room, np.int64) for c in table.columns if not c.text}

    def take(self, stretch: _Stretch, batch: list[ArrowColumn], path: Path) -> None:
        """Keep one batch."""
        for column, values in zip(self.table.columns, batch, strict=True):
            if column.text:
                stretch.texts.setdefault(column.name, []).extend(values.texts())
                continue
            numbers = _numbers(values, column, self.actual, path)
            if stretch.at is None:
                stretch.loose.setdefault(column.name, []).append(numbers.copy())
            else:
                low = stretch.at + stretch.rows
                # A sound table cannot have more rows between two rowids than rowids.
                if stretch.rows + values.length > min(_STRETCH, self._room - stretch.at):
                    raise _out_of_order(path, self.actual)
                self._numbers[column.name][low : low + values.length] = numbers
        stretch.rows += batch[0].length

    def columns(self) -> Columns:
        """All rows, in the order of the stretches; gaps that rowids left are closed."""
        ends = [(s.at or 0) + s.rows for s in self.stretches]
        close = all(s.at == end for s, end in zip(self.stretches[1:], ends, strict=False))
        result: Columns = {}
        for column in self.table.columns:
            name = column.name
            if column.text:
                result[name] = [text for s in self.stretches for text in s.texts.get(name, ())]
            elif any(s.at is None for s in self.stretches):
                loose = [part for s in self.stretches for part in s.loose.get(name, ())]
                result[name] = np.concatenate(loose) if loose else np.empty(0, np.int64)
            elif close:
                result[name] = self._numbers[name][: ends[-1] if ends else 0]
            else:
                kept = [
                    self._numbers[name][s.at : e] for s, e in zip(self.stretches, ends, strict=True)
                ]
                result[name] = np.concatenate(kept)
        return result


_REEXPORT = "export the report again with `nsys export --type sqlite`"


_UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What the standard library raises for a damaged file: SQLite quotes names that are no UTF-8."""


def _out_of_order(path: Path, table: str) -> TraceError:
    return TraceError(
        f"{path} is damaged: the rows of table {table} are out of order", remedy=_REEXPORT
    )


def _term(column: Column, table: str, present: tuple[str, ...], path: Path) -> str:
    name = next((n for n in (column.name, *column.others) if n in present), None)
    if name is None:
        if column.absent is None:
            raise TraceError(
                f"{path}: table {table} has no column {column.name} (it has {len(present)} others)",
                remedy=_REEXPORT,
            )
        return f"'{column.absent}'" if column.text else str(column.absent)
    # Text is cast so that a first batch of NULLs or numbers cannot set the column's type.
    return f"CAST(COALESCE(\"{name}\", '') AS TEXT)" if column.text else f'"{name}"'


def _numbers(values: ArrowColumn, column: Column, table: str, path: Path) -> NDArray[np.int64]:
    if values.type != "int64":
        raise TraceError(
            f"{path}: column {table}.{column.name} holds {values.type} values, not integers",
            remedy=_REEXPORT,
        )
    if values.valid is None:
        return values.int64()
    return np.where(values.valid, values.int64(), NULL)


def _say(path: Path, table: str, error: Exception) -> str:
    text = " ".join(str(error).split())
    if "ype mismatch" in text or "expected" in text.lower():
        return f"{path}: a column of {table} changes its type between rows ({text[:160]})"
    return f"{path}: table {table} cannot be read ({text[:160]})"


def _check_file(path: Path) -> None:
    """Say what is wrong with a file before SQLite does so in its own words."""
    try:
        info = path.stat()
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(info.st_mode):
        raise TraceError(f"{path} is a directory", remedy=f"name the traces in it: {path}/*.sqlite")
    if not stat.S_ISREG(info.st_mode):
        raise TraceError(f"{path} is not a regular file", remedy="copy it to a file first")
    if info.st_size == 0:
        raise TraceError(f"{path} is empty", remedy=_REEXPORT)
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise TraceError(f"{path}: {error.strerror}") from error
    if not head.startswith(_MAGIC):
        raise TraceError(f"{path} is not an SQLite file", remedy=_REEXPORT)
    if len(head) < 100:
        raise TraceError(f"{path} is truncated: {info.st_size} bytes", remedy=_REEXPORT)
    page = int.from_bytes(head[16:18], "big")
    page = 65536 if page == 1 else page
    pages = int.from_bytes(head[28:32], "big")
    # The page count is only kept by writers that also keep these two numbers equal.
    if head[24:28] == head[92:96] and pages * page > info.st_size:
        raise TraceError(
            f"{path} is truncated: {info.st_size} of {pages * page} bytes", remedy=_REEXPORT
        )


def _page_size(path: Path) -> int:
    with path.open("rb") as file:
        size = int.from_bytes(file.read(18)[16:18], "big")
    return 65536 if size == 1 else size


@dataclass
class _Trees:
    """The b-trees of a file's tables; `pages` is None where a write-ahead log holds newer pages."""

    path: Path
    roots: dict[str, int]
    pages: Pages | None

    def check_schema(self) -> None:
        """Raises TraceError where the table of tables is no tree."""
        if self.pages is not None:
            self.pages.check(1, "the table of tables")

    def check(self, table: str) -> None:
        """Raises TraceError where a table's pages are no tree."""
        root = self.roots.get(table)
        if self.pages is not None and isinstance(root, int):
            self.pages.check(root, f"table {table}")


@contextmanager
def _connect(uri: str) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(uri, uri=True)
    try:
        yield connection
    finally:
        connection.close()


def open_database(path: str | os.PathLike[str]) -> Database:
    """Open an SQLite file read-only.

    Raises TraceError, one line, for what is missing, unreadable, truncated or not SQLite.
    """
    file = Path(path)
    _check_file(file)
    wal = file.with_name(file.name + "-wal")
    # `immutable` spares locks and sidecar files, but would not see a writer's pending log.
    wal_in_use = wal.exists() and wal.stat().st_size > 0
    mode = "mode=ro" if wal_in_use else "mode=ro&immutable=1"
    uri = f"file:{quote(str(file.absolute()))}?{mode}"
    trees = _Trees(file, {}, None if wal_in_use else Pages(file, _page_size(file)))
    trees.check_schema()
    layout: dict[str, tuple[str, ...]] = {}
    try:
        with _connect(uri) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            # Views are left out: a trace has none, and a hostile one could run for ever.
            query = "SELECT name, rootpage FROM sqlite_master WHERE type = 'table'"
            for name, root in connection.execute(query).fetchall():
                trees.roots[name] = root
                quoted = name.replace('"', '""')
                rows = connection.execute(f'PRAGMA table_info("{quoted}")')
                layout[name] = tuple(row[1] for row in rows)
    except _UNREADABLE as error:
        said = str(error) if isinstance(error, sqlite3.Error) else "its schema is no text"
        raise TraceError(f"{file} cannot be read as SQLite ({said})", remedy=_REEXPORT) from error

    return Database(file, uri, layout, trees)
