"""The rows of one table a stretch at a time, for tables that are larger than memory."""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from ...model.cores import threads
from ...model.schema import Columns, Table
from .page_plan import PagePlan
from .pages import NotPlain

if TYPE_CHECKING:
    from concurrent.futures import Future
from .sql import QueryPlan, Stretch, unreadable

_PIECES = 16
"""Pieces of a plan that make a stretch."""
_MOST_AHEAD = 4
"""Stretches read beforehand, however many cores there are: each takes tens of megabytes."""
_T = TypeVar("_T")


def _ahead(jobs: Iterable[Callable[[], _T]]) -> Iterator[_T]:
    """Results in the order of the jobs, of which a few are done at once and beforehand."""
    from concurrent.futures import ThreadPoolExecutor

    count = min(threads(), _MOST_AHEAD)
    with ThreadPoolExecutor(count) as pool:
        waiting: deque[Future[_T]] = deque()
        try:
            for job in jobs:
                waiting.append(pool.submit(job))
                if len(waiting) > count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def pages(
    path: Path,
    connection: sqlite3.Connection,
    table: Table,
    actual: str,
    present: tuple[str, ...],
) -> Iterator[tuple[tuple[int, int], Columns]]:
    """((first rowid, how many rowids), rows) of stretches, from the file's own pages.

    Raises NotPlain, maybe after some stretches, where the table is not that plain.
    """
    plan = PagePlan(path, connection, table, actual, present, whole=False)
    parts = plan.parts(_PIECES)
    free = None
    for first, count, rows in _ahead(partial(plan.part, pieces) for pieces in parts):
        if free is not None and first < free:
            raise NotPlain  # two pieces laid claim to one rowid
        free = first + count
        yield (first, count), rows


def queries(
    plan: QueryPlan,
    connection: sqlite3.Connection,
    rowid: str,
    done: tuple[int, int] | None,
    size: int,
) -> Iterator[Columns]:
    """Rows of stretches behind the one that `pages` gave last, by SQL; `size` at most in each.

    `rowid`: a name of the rowid that is no column's (see `queries.free_rowid`).
    """

    def fill(sql: str) -> Columns:
        part = QueryPlan(plan.uri, plan.path, plan.table, plan.actual, [Stretch(sql, 0)], room=size)
        for job in part.jobs():
            job()
        return part.columns()

    sql = plan.stretches[0].sql.partition(f" AND {rowid} >=")[0]
    yield from _ahead(
        partial(fill, f"{sql} AND {rowid} >= {first} AND {rowid} <= {last}")
        for first, last in _pages(plan, connection, rowid, done, size)
    )


def _pages(
    plan: QueryPlan,
    connection: sqlite3.Connection,
    rowid: str,
    done: tuple[int, int] | None,
    size: int,
) -> Iterator[tuple[int, int]]:
    """Ranges of rowids that hold `size` rows or fewer, whatever holes there are."""
    name = plan.actual
    try:

        def ask(sql: str) -> int | None:
            found: int | None = connection.execute(sql).fetchone()[0]
            return found

        def last_of(first: int, count: int) -> int | None:
            rows = f'SELECT {rowid} AS id FROM "{name}" WHERE {rowid} >= {first} ORDER BY {rowid}'
            return ask(f"SELECT max(id) FROM ({rows} LIMIT {count})")

        after = "" if done is None else f" WHERE {rowid} > {last_of(*done)}"
        at = ask(f'SELECT min({rowid}) FROM "{name}"{after}')
        while at is not None:
            last = last_of(at, size)
            assert last is not None
            yield at, last
            at = ask(f'SELECT min({rowid}) FROM "{name}" WHERE {rowid} > {last}')
    except sqlite3.Error as error:
        raise unreadable(plan.path, name, error) from error
