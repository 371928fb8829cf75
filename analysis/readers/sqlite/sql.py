"""A table by SQL, through Arrow: any table, any values."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, field
from numpy.typing import NDArray

from ...model.errors import TraceError
from ...model.schema import NULL, Column, Columns, Table
from ..errors import MissingColumn, TraceDamaged, WrongColumnType

if TYPE_CHECKING:
    from .arrow_stream import Column as ArrowColumn

_BATCH_ROWS = "65536"
STRETCH = 1 << 18
"""Rowids that one query reads."""
_FEW_ROWS, _SMALL_BYTES = "256", 16 << 20
"""Rows of text at a time from files up to that size: damage can give each the whole file's text."""
_MOST_TEXT = 4
"""Bytes of text that a byte of the file may give: an integer can be read as text, too."""
UNREADABLE = (sqlite3.Error, UnicodeDecodeError)
"""What the standard library raises for a damaged file: SQLite quotes names that are no UTF-8."""
REEXPORT = "export the report again with `nsys export --type sqlite`"


class Stretch(Struct):
    """One query, where its rows go (None: nobody knows how many), and how many it has given."""

    sql: str
    at: int | None
    rows: int = 0
    texts: dict[str, list[str]] = field(default_factory=dict)
    loose: dict[str, list[NDArray[np.int64]]] = field(default_factory=dict)


class QueryPlan:
    """The reading of one table: rows go straight to their place in arrays made beforehand.

    Gathering batches and joining them afterwards would touch twice the memory.
    """

    def __init__(
        self,
        uri: str,
        path: Path,
        table: Table,
        actual: str,
        stretches: list[Stretch],
        *,
        room: int = 0,
    ) -> None:
        self.uri = uri
        self.path = path
        self.table = table
        self.actual = actual
        self.stretches = stretches
        self._room = room
        self._size = path.stat().st_size if actual else 0
        self._numbers = {c.name: np.empty(room, np.int64) for c in table.columns if not c.text}

    def jobs(self) -> list[Callable[[], None]]:
        """What is to be done, in any order and at once."""
        return [partial(self._fill, stretch) for stretch in self.stretches]

    def _fill(self, stretch: Stretch) -> None:
        """Run one query and keep its rows."""
        import adbc_driver_manager
        import adbc_driver_sqlite

        from .arrow_stream import ArrowError, batches

        try:
            with (
                adbc_driver_sqlite.connect(self.uri) as driver,
                adbc_driver_manager.AdbcConnection(driver) as connection,
                adbc_driver_manager.AdbcStatement(connection) as statement,
            ):
                statement.set_sql_query("PRAGMA trusted_schema = OFF")
                statement.execute_update()
                few = self._size <= _SMALL_BYTES and any(c.text for c in self.table.columns)
                rows = _FEW_ROWS if few else _BATCH_ROWS
                statement.set_options(**{"adbc.sqlite.query.batch_rows": rows})
                statement.set_sql_query(stretch.sql)
                handle, _ = statement.execute_query()
                text = 0
                for batch in batches(handle.address):
                    self._take(stretch, batch)
                    text += sum(column.text_bytes for column in batch)
                    if text > _MOST_TEXT * self._size + _SMALL_BYTES:
                        raise TraceDamaged(
                            f"{self.path} is damaged: table {self.actual} holds more text than "
                            f"its {self._size} bytes can",
                            remedy=REEXPORT,
                        )
        except (adbc_driver_manager.Error, ArrowError) as error:
            raise unreadable(self.path, self.actual, error) from error

    def _take(self, stretch: Stretch, batch: list[ArrowColumn]) -> None:
        """Keep one batch."""
        for column, values in zip(self.table.columns, batch, strict=True):
            if column.text:
                stretch.texts.setdefault(column.name, []).extend(values.texts())
                continue
            numbers = _numbers(values, column, self.actual, self.path)
            if stretch.at is None:
                stretch.loose.setdefault(column.name, []).append(numbers.copy())
            else:
                low = stretch.at + stretch.rows
                # A sound table cannot have more rows between two rowids than rowids.
                if stretch.rows + values.length > min(STRETCH, self._room - stretch.at):
                    raise out_of_order(self.path, self.actual)
                self._numbers[column.name][low : low + values.length] = numbers
        stretch.rows += batch[0].length
        # A row takes a byte or more: a tree that comes back to itself has no end.
        if stretch.rows > self._size:
            raise out_of_order(self.path, self.actual)

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


def free_rowid(present: tuple[str, ...]) -> str | None:
    """A name of the rowid that no column of the table has taken, None where all are."""
    taken = {name.lower() for name in present}
    return next((n for n in ("rowid", "_rowid_", "oid") if n not in taken), None)


def rowid_of(connection: sqlite3.Connection, table: str, present: tuple[str, ...]) -> str | None:
    """What to call the rowids of a table, None where it has none (WITHOUT ROWID), or no name for
    them. `table`: as SQL calls it."""
    rowid = free_rowid(present)
    if rowid is not None:
        try:
            connection.execute(f"SELECT {rowid} FROM {table} LIMIT 0")
        except sqlite3.Error:
            return None
    return rowid


def out_of_order(path: Path, table: str) -> TraceError:
    """The error for a table whose rows do not stand in the order of their rowids."""
    return TraceDamaged(
        f"{path} is damaged: the rows of table {table} are out of order", remedy=REEXPORT
    )


def term(column: Column, table: str, present: tuple[str, ...], path: Path) -> str:
    name = column.stored(present)
    if name is None:
        if column.absent is None:
            raise MissingColumn(
                f"{path}: table {table} has no column {column.name} (it has {len(present)} others)",
                remedy=REEXPORT,
            )
        return f"'{column.absent}'" if column.text else str(column.absent)
    # Text is cast so that a first batch of NULLs or numbers cannot set the column's type.
    return f"CAST(COALESCE(\"{name}\", '') AS TEXT)" if column.text else f'"{name}"'


def _numbers(values: ArrowColumn, column: Column, table: str, path: Path) -> NDArray[np.int64]:
    if values.type != "int64":
        raise WrongColumnType(
            f"{path}: column {table}.{column.name} holds {values.type} values, not integers",
            remedy=REEXPORT,
        )
    if values.valid is None:
        return values.int64()
    return np.where(values.valid, values.int64(), NULL)


def unreadable(path: Path, table: str, error: Exception) -> TraceDamaged:
    """The error of a table that SQLite or Arrow could not read to its end."""
    text = " ".join(str(error).split())
    if "ype mismatch" in text or "expected" in text.lower():
        return TraceDamaged(
            f"{path}: a column of {table} changes its type between rows ({text[:160]})",
            remedy=REEXPORT,
        )
    return TraceDamaged(f"{path}: table {table} cannot be read ({text[:160]})", remedy=REEXPORT)
