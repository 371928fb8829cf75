"""A table of integers, from its pages."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from ...model.arrays import Bool
from ...model.intervals import Int64
from ...model.schema import Columns, Table
from .pages import NotPlain, PageFile, positions
from .records import decode

_CHUNK_BYTES = 1 << 20
"""Bytes of pages that are taken apart at once: what a core's cache holds."""


class PagePlan:
    """The reading of one table: rows go straight to their place in arrays made beforehand.

    Raises NotPlain where it is seen at once that the table is not made of integers alone; where
    that shows later, `refused` is set and the columns mean nothing.
    """

    def __init__(
        self,
        path: Path,
        connection: sqlite3.Connection,
        table: Table,
        actual: str,
        present: tuple[str, ...],
        *,
        whole: bool = True,
    ) -> None:
        if table.where or any(c.absent is None for c in table.columns if c.text):
            raise NotPlain
        self.table = table
        self._failed = False
        stored = {c.name: name for c in table.columns if (name := c.stored(present))}
        self._numbers = [c.name for c in table.columns if not c.text and c.name in stored]
        texts = [c.name for c in table.columns if c.text and c.name in stored]
        if any(c.absent is None and c.name not in stored for c in table.columns):
            raise NotPlain
        if table.among is not None and table.among[0] not in self._numbers:
            raise NotPlain
        if not self._numbers:  # nothing to read but how many rows there are
            raise NotPlain
        self._file = PageFile.of(path)
        root, found = positions(
            connection, actual, tuple(stored[name] for name in (*self._numbers, *texts))
        )
        self._wanted, self._texts = found[: len(self._numbers)], found[len(self._numbers) :]
        edges = (f'SELECT {end}(rowid) FROM "{actual}"' for end in ("min", "max"))
        self._first, last = (connection.execute(edge).fetchone()[0] for edge in edges)
        # Rows take 16 bytes or more: many more rowids than that have holes, and get no room.
        known = isinstance(self._first, int) and isinstance(last, int) and last >= self._first
        if not known or last - self._first >= path.stat().st_size // 16:
            raise NotPlain
        self._room = last - self._first + 1
        if whole:
            self._columns = {name: np.empty(self._room, np.int64) for name in self._numbers}
        leaves = self._file.leaves(root)
        step = max(_CHUNK_BYTES // self._file.page_size, 1)
        self._chunks = [leaves[k : k + step] for k in range(0, len(leaves), step)]
        self._claims = [(0, 0)] * len(self._chunks)
        self._spans = list(self._claims)

    def jobs(self) -> list[Callable[[], None]]:
        """What is to be done, in any order and at once."""
        return [partial(self._fill, k) for k in range(len(self._chunks))]

    def _fill(self, chunk: int) -> None:
        """Read some pages, and keep where their rows went."""
        if self._failed:
            return

        texts: list[Int64] = []

        def room(rowid: int, rows: int) -> list[Int64]:
            low = rowid - self._first
            if not 0 <= low <= low + rows <= self._room:
                raise NotPlain
            self._claims[chunk] = self._spans[chunk] = low, low + rows
            texts.extend(np.empty(rows, np.int64) for _ in self._texts)
            return [*(column[low : low + rows] for column in self._columns.values()), *texts]

        try:
            decode(self._file, self._chunks[chunk], self._wanted, self._texts, room)
            self._keep(chunk, texts)
        except (NotPlain, OSError):
            self._failed = True

    def parts(self, pieces: int) -> list[range]:
        """The pieces of a plan that is not read whole, some together; ask `part` for each."""
        count = len(self._chunks)
        return [range(k, min(k + pieces, count)) for k in range(0, count, pieces)]

    def part(self, pieces: range) -> tuple[int, int, Columns]:
        """(first rowid, how many rowids, rows) of some pieces. Raises NotPlain or OSError."""
        found: list[Columns] = []
        edges: list[int] = []
        counts: list[int] = []
        for piece in pieces:
            columns: Columns = {}
            texts: list[Int64] = []

            def room(
                rowid: int, rows: int, columns: Columns = columns, texts: list[Int64] = texts
            ) -> list[Int64]:
                if edges and rowid <= edges[-1]:
                    raise NotPlain
                edges.extend((rowid, rowid + rows - 1))
                counts.append(rows)
                columns |= {name: np.empty(rows, np.int64) for name in self._numbers}
                texts.extend(np.empty(rows, np.int64) for _ in self._texts)
                return [*columns.values(), *texts]

            decode(self._file, self._chunks[piece], self._wanted, self._texts, room)
            found.append(self._allowed(columns, texts))
        rows: Columns = {}
        for name in self._numbers:
            rows[name] = np.concatenate([columns[name] for columns in found])
        count = sum(len(columns[self._numbers[0]]) for columns in found)
        for column in self.table.columns:
            if column.name not in rows:
                rows[column.name] = (
                    [str(column.absent)] * count
                    if column.text
                    else np.full(count, column.absent, np.int64)
                )
        return edges[0], sum(counts), rows

    def _allowed(self, columns: Columns, texts: list[Int64]) -> Columns:
        """The rows that `among` allows; they may have no text."""
        kept: Bool | slice = slice(None)
        if self.table.among is not None:
            name, values = self.table.among
            kept = np.isin(columns[name], values)
        if any(text[kept].any() for text in texts):
            raise NotPlain
        return {name: column[kept] for name, column in columns.items()}

    def _keep(self, chunk: int, texts: list[Int64]) -> None:
        """Move the rows that `among` allows to the front of their place; they may have no text."""
        low, high = self._spans[chunk]
        kept: Bool | slice = slice(None)
        if self.table.among is not None:
            name, values = self.table.among
            kept = np.isin(self._columns[name][low:high], values)
        if any(text[kept].any() for text in texts):
            raise NotPlain
        if isinstance(kept, slice) or bool(kept.all()):
            return
        rows = int(np.count_nonzero(kept))
        for column in self._columns.values():
            column[low : low + rows] = column[low:high][kept]
        self._spans[chunk] = low, low + rows

    @property
    def refused(self) -> bool:
        """Whether a piece could not be read, or two of them laid claim to the same place."""
        claims = self._claims
        return self._failed or any(a[1] > b[0] for a, b in pairwise(claims))

    def columns(self) -> Columns:
        """All rows in the order of their rowids; gaps between pieces are closed."""
        spans = self._spans
        whole = all(a[1] == b[0] for a, b in pairwise(spans))
        rows = sum(high - low for low, high in spans)
        result: Columns = {}
        for column in self.table.columns:
            if column.text:
                result[column.name] = [str(column.absent)] * rows
            elif column.name not in self._columns:
                result[column.name] = np.full(rows, column.absent, np.int64)
            elif whole:
                low, high = spans[0][0], spans[-1][1]
                result[column.name] = self._columns[column.name][low:high]
            else:
                values = self._columns[column.name]
                result[column.name] = np.concatenate([values[low:high] for low, high in spans])
        return result
