"""A SQLite file, read-only, as typed columns.

Tables of integers are taken from the file's own pages (`page_plan`), all others come through Arrow
(`sql`), because Python's own cursor costs about five times as much per value; the small
questions (which tables, which columns) go through the standard library.
"""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from ...model.cores import threads
from ...model.errors import CannotRead
from ...model.schema import Columns, Table
from ..errors import (
    EmptyFile,
    IsADirectory,
    NotAPlainTable,
    NotARegularFile,
    NotATrace,
    TraceDamaged,
    Truncated,
)
from .foreign import PLAIN, connected, read_only, refuse_pending
from .page_plan import PagePlan
from .pages import NotPlain, Trees, page_size_of
from .sql import (
    REEXPORT,
    STRETCH,
    UNREADABLE,
    QueryPlan,
    Stretch,
    out_of_order,
    rowid_of,
    term,
    unreadable,
)

__all__ = ["Columns", "Database", "open_database"]

_MAGIC = b"SQLite format 3\x00"
_STRETCH = STRETCH


class Database:
    """One SQLite file, opened so that nothing can be written to it or beside it.

    `layout`: the columns of each plain table. `special`: names of views and of tables without pages
    of their own. `shown`: the file's name in messages; `path` is where its
    manifest would lie beside it. Every read has a connection of its own, so that several
    run at once.
    """

    _special: frozenset[str] = frozenset()

    def __init__(
        self,
        path: Path,
        uri: str,
        layout: dict[str, tuple[str, ...]],
        trees: Trees,
        special: frozenset[str] = frozenset(),
    ) -> None:
        self.path = self.shown = path
        self.layout = layout
        self._trees = trees
        self._uri = uri
        self._special = frozenset(name.lower() for name in special)

    @property
    def uri(self) -> str:
        """How SQLite opens the file without writing to it."""
        return self._uri

    def check_tree(self, table: str) -> None:
        """Raises TraceError where a table's pages are no tree: SQLite could walk them for ever."""
        self._trees.check(table)

    def has(self, table: Table) -> bool:
        """Whether the file holds this table, under any of its names."""
        return self._actual(table) is not None

    def _actual(self, table: Table) -> str | None:
        # SQLite does not tell large letters from small ones in names.
        called = [name.lower() for name in (table.name, *table.others)]
        for each in called:
            if each in self._special:
                raise NotAPlainTable(f"{self.shown}: {each.upper()} is not a plain table")
        names = {name.lower(): name for name in self.layout}
        name = next((names[n] for n in called if n in names), None)
        if name is not None and table.optional:
            present = self.layout[name]
            whole = all(
                c.absent is not None or c.stored(present) is not None for c in table.columns
            )
            return name if whole else None
        return name

    def read(self, table: Table) -> Columns:
        """Every declared column of `table`; empty columns where the table is absent.

        Raises TraceError where a required column is missing or a column holds another type.
        """
        return self.read_all((table,))[0]

    def read_all(self, tables: tuple[Table, ...]) -> list[Columns]:
        """The same for several tables at once, on all cores, long tables in many pieces."""
        with connected(self._uri) as connection:
            plans = [self._plan(connection, table) for table in tables]
            _carry_out(plans)
            again = {
                k: self._query(connection, plan.table)
                for k, plan in enumerate(plans)
                if isinstance(plan, PagePlan) and plan.refused
            }
        _carry_out(list(again.values()))
        return [again.get(k, plan).columns() for k, plan in enumerate(plans)]

    def stream(self, table: Table) -> Iterator[Columns]:
        """The rows of one table in the order of their rowids, a stretch at a time.

        A few stretches are in memory at once. Raises TraceError as `read` does.
        """
        from .stream import pages, queries

        actual = self._actual(table)
        if actual is None:
            return
        with connected(self._uri) as connection:
            rowid = rowid_of(connection, f'"{actual}"', self.layout[actual])
        if rowid is None:  # nothing tells its stretches apart
            yield self.read(table)
            return
        done: tuple[int, int] | None = None
        with connected(self._uri) as connection:
            try:
                present = self.layout[actual]
                for place, rows in pages(self.path, connection, table, actual, present):
                    done = place
                    yield rows
                return
            except (NotPlain, OSError, sqlite3.Error):
                pass  # SQLite reads the rest, or says what is wrong
            plan = self._query(connection, table)
            yield from queries(plan, connection, rowid, done, _STRETCH)

    def _plan(self, connection: sqlite3.Connection, table: Table) -> PagePlan | QueryPlan:
        """How to read a table: from its pages where it is that plain."""
        actual = self._actual(table)
        if actual is not None:
            try:
                return PagePlan(self.path, connection, table, actual, self.layout[actual])
            except (NotPlain, OSError, *UNREADABLE):
                pass  # SQLite reads it, or says what is wrong
        return self._query(connection, table)

    def _query(self, connection: sqlite3.Connection, table: Table) -> QueryPlan:
        """One query for a stretch of rowids, and room for what they give."""
        actual = self._actual(table)
        if actual is None:
            return QueryPlan(self._uri, self.path, table, "", [])
        self._trees.check(actual)
        present = self.layout[actual]
        terms = ", ".join(term(c, actual, present, self.path) for c in table.columns)
        sql = f'SELECT {terms} FROM "{actual}" NOT INDEXED WHERE ({table.condition()})'
        rowid = rowid_of(connection, f'"{actual}"', present)
        if rowid is None:
            return QueryPlan(self._uri, self.path, table, actual, [Stretch(sql, None)])
        # Each on its own: asked for together, SQLite would walk the whole table.
        edges = (f'SELECT {end}({rowid}) FROM "{actual}"' for end in ("min", "max"))
        try:
            first, last = (connection.execute(edge).fetchone()[0] for edge in edges)
        except UNREADABLE as error:
            raise unreadable(self.path, actual, error) from error
        # Rows take 16 bytes or more: many more rowids than that have holes, and get no room.
        if first is None or last - first >= self.path.stat().st_size // 16:
            return QueryPlan(self._uri, self.path, table, actual, [Stretch(sql, None)])
        if last < first:
            raise out_of_order(self.path, actual)
        if last - first < _STRETCH:
            # Without a condition on rowids, which a search would meet too early in a damaged table.
            whole = [Stretch(sql, 0)]
            return QueryPlan(self._uri, self.path, table, actual, whole, room=last - first + 1)
        stretches = [
            Stretch(f"{sql} AND {rowid} >= {k} AND {rowid} < {k + _STRETCH}", k - first)
            for k in range(first, last + 1, _STRETCH)
        ]
        return QueryPlan(self._uri, self.path, table, actual, stretches, room=last - first + 1)


def _carry_out(plans: Sequence[PagePlan | QueryPlan]) -> None:
    """Do all that these plans ask for, on all cores where it is more than one thing."""
    jobs = [job for plan in plans for job in plan.jobs()]
    if len(jobs) > 1:
        from concurrent.futures import ThreadPoolExecutor

        with ThreadPoolExecutor(threads()) as pool:
            list(pool.map(lambda job: job(), jobs))
    else:
        for job in jobs:
            job()


def _check_file(path: Path) -> None:
    """Say what is wrong with a file before SQLite does so in its own words."""
    try:
        info = path.stat()
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror}") from error
    if stat.S_ISDIR(info.st_mode):
        raise IsADirectory(
            f"{path} is a directory", remedy=f"name the traces in it: {path}/*.sqlite (or *.json)"
        )
    if not stat.S_ISREG(info.st_mode):
        raise NotARegularFile(f"{path} is not a regular file")
    if info.st_size == 0:
        raise EmptyFile(f"{path} is empty", remedy=REEXPORT)
    try:
        with path.open("rb") as file:
            head = file.read(100)
    except OSError as error:
        raise CannotRead(f"{path}: {error.strerror}") from error
    if not head.startswith(_MAGIC):
        raise NotATrace(f"{path} is not an SQLite file", remedy=REEXPORT)
    if len(head) < 100:
        raise Truncated(f"{path} is truncated: {info.st_size} bytes", remedy=REEXPORT)
    page = page_size_of(head)
    pages = int.from_bytes(head[28:32], "big")
    # The page count is only kept by writers that also keep these two numbers equal.
    if head[24:28] == head[92:96] and pages * page > info.st_size:
        raise Truncated(
            f"{path} is truncated: {info.st_size} of {pages * page} bytes", remedy=REEXPORT
        )


def open_database(path: str | os.PathLike[str]) -> Database:
    """Open an SQLite file read-only.

    Raises TraceError, one line, for what is missing, unreadable, truncated or not SQLite.
    """
    file = Path(path)
    _check_file(file)
    refuse_pending(file)
    trees = Trees(file)
    trees.check_schema()
    uri = read_only(file)
    layout: dict[str, tuple[str, ...]] = {}
    special: set[str] = set()
    try:
        with connected(uri) as connection:
            connection.text_factory = lambda raw: raw.decode("utf-8", "replace")
            query = f"""SELECT name, rootpage, {PLAIN} FROM sqlite_master
                        WHERE type IN ('table', 'view')"""
            for name, root, plain in connection.execute(query).fetchall():
                if not isinstance(name, str):  # bytes, in a damaged row: no table that is asked for
                    continue
                if not plain:
                    special.add(name)
                    continue
                trees.roots[name] = root
                quoted = name.replace('"', '""')
                rows = connection.execute(f'PRAGMA table_info("{quoted}")')
                layout[name] = tuple(row[1] for row in rows)
    except UNREADABLE as error:
        said = str(error) if isinstance(error, sqlite3.Error) else "its schema is not text"
        raise TraceDamaged(f"{file} cannot be read as SQLite ({said})", remedy=REEXPORT) from error

    return Database(file, uri, layout, trees, frozenset(special))
