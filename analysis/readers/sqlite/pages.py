"""The pages of an SQLite file: those of a table's rows in order, and whether they are trees at all.

SQLite hands out a million rows in about a second; most of that second is its own bookkeeping for
every value. The tables that matter here are narrow and hold integers alone, and SQLite's file
format is a stable, public contract (https://www.sqlite.org/fileformat2.html): the pages can be
read as they are and taken apart many rows at a time (`records`). Whatever is not as plain as that
raises NotPlain, and SQLite reads it: it stays the reference.
"""

from __future__ import annotations

import os
import sqlite3
from itertools import pairwise
from pathlib import Path

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ...model.arrays import Bool
from ...model.intervals import Int64
from ..errors import TraceDamaged
from .sql import REEXPORT

Bytes = NDArray[np.uint8]

INTERIOR, LEAF = 5, 13
"""Kinds of pages of a table with rowids, the first byte of each."""
_INTERIORS, _LEAVES = (2, INTERIOR), (10, LEAF)
"""The same with those of an index, which is what a table without rowids is."""

LOOKED_AT_BYTES = 64 << 20
"""Trees of larger files are not looked at: walking them would cost as much as reading them."""


def page_size_of(head: bytes) -> int:
    """Bytes of a page, by the first bytes of a file; 65536 does not fit there and stands as 1."""
    size = int.from_bytes(head[16:18], "big")
    return 65536 if size == 1 else size


class NotPlain(Exception):
    """These rows are not of the plain kind that can be read without SQLite."""


class PageFile(Struct, frozen=True):
    """An SQLite file that nobody writes to, by pages."""

    path: Path
    page_size: int
    usable: int
    """Bytes of each page that SQLite uses."""
    pages: int

    @classmethod
    def of(cls, path: Path) -> PageFile:
        """Raises NotPlain where the file's header is not that of a whole file."""
        with path.open("rb") as file:
            head = file.read(100)
            size = os.fstat(file.fileno()).st_size
        if len(head) < 100:
            raise NotPlain
        page = page_size_of(head)
        if page < 512 or page & (page - 1) or page - head[20] < 480:
            raise NotPlain
        return cls(path, page, page - head[20], size // page)

    def read(self, numbers: Int64) -> Bytes:
        """These pages one behind the other, and an empty one, so that what lies beyond a row can be
        read with it. Numbers begin at 1."""
        if len(numbers) and not 1 <= int(numbers.min()) <= int(numbers.max()) <= self.pages:
            raise NotPlain
        buffer = np.empty((len(numbers) + 1) * self.page_size, np.uint8)
        buffer[-self.page_size :] = 0
        room = buffer.data
        breaks = np.flatnonzero(np.diff(numbers) != 1) + 1
        edges = [0, *breaks.tolist(), len(numbers)]
        # A plain read and no map: a file that is cut short meanwhile is an error, not a signal.
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            for first, stop in pairwise(edges):
                low, high = first * self.page_size, stop * self.page_size
                at = (int(numbers[first]) - 1) * self.page_size
                if os.preadv(descriptor, [room[low:high]], at) != high - low:
                    raise NotPlain
        finally:
            os.close(descriptor)
        return buffer

    def leaves(self, root: int) -> Int64:
        """Numbers of the leaf pages of the table with this root page, in the order of rowids."""
        level = np.array([root], np.int64)
        seen = 1
        while True:
            kinds = self.read(level[:1])[0]
            if kinds == LEAF:
                if len(np.unique(level)) < len(level):  # a page that stands in the tree twice
                    raise NotPlain
                return level
            buffer = self.read(level)
            level = np.concatenate([self._children(buffer, k) for k in range(len(level))])
            seen += len(level)
            if seen > self.pages:  # a tree that comes back to itself
                raise NotPlain

    def _children(self, buffer: Bytes, index: int) -> Int64:
        page = buffer[index * self.page_size : (index + 1) * self.page_size]
        cells = int(page[3]) << 8 | int(page[4])
        if page[0] != INTERIOR or not 0 < cells <= (self.usable - 12) // 2:
            raise NotPlain
        at = page[12 : 12 + 2 * cells].view(">u2").astype(np.int64)
        if int(at.max()) > self.usable - 4:
            raise NotPlain
        at = np.append(at, 8)  # the page behind the last cell's
        children = np.zeros(len(at), np.int64)
        for byte in range(4):
            children = children << 8 | page[at + byte]
        return children


class Trees:
    """The b-trees of a file, looked at before SQLite walks them.

    SQLite follows page numbers as they stand. A small file whose pages point many times to the same
    page holds more rows than any machine can read; so does a page that names one row many times.
    `roots`: the root page of each table.
    """

    def __init__(self, path: Path) -> None:
        self.roots: dict[str, int] = {}
        self._path = path
        small = 0 < path.stat().st_size <= LOOKED_AT_BYTES
        self._data: Bytes = np.fromfile(path, np.uint8) if small else np.empty(0, np.uint8)
        self._page = page_size_of(self._data[:18].tobytes())
        self._count = len(self._data) // self._page if self._page >= 512 else 0

    def check_schema(self) -> None:
        """Raises TraceError if the table of tables is no tree."""
        self._walk(1, "the table of tables")

    def check(self, table: str) -> None:
        """Raises TraceError if a table's pages are no tree."""
        root = self.roots.get(table)
        if isinstance(root, int):
            self._walk(root, f"table {table}")

    def _walk(self, root: int, what: str) -> None:
        """Raises TraceError if a page of the tree at `root` occurs twice, or a row does."""
        seen = np.zeros(self._count + 1, np.bool_)
        level = self._known(np.array([root], np.int64))
        while len(level):
            if seen[level].any() or len(np.unique(level)) < len(level):
                raise TraceDamaged(
                    f"{self._path} is damaged: {what} has a page that stands in it twice",
                    remedy=REEXPORT,
                )
            seen[level] = True
            below = [self._children(number, what) for number in level.tolist()]
            level = np.concatenate(below)

    def _known(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of the page numbers that the file has; the others are SQLite's to refuse."""
        return numbers[(numbers >= 1) & (numbers <= self._count)]

    def _children(self, number: int, what: str) -> NDArray[np.int64]:
        """Page numbers that an interior page holds; none of a leaf's."""
        page = self._data[(number - 1) * self._page : number * self._page]
        head = page[100:] if number == 1 else page
        kind, cells = int(head[0]), int(_big(head[3:5], 2)[0])
        start = {**dict.fromkeys(_INTERIORS, 12), **dict.fromkeys(_LEAVES, 8)}.get(kind)
        if start is None:
            return np.empty(0, np.int64)
        pointers = _big(head[start : start + 2 * cells], 2)
        if len(np.unique(pointers)) < len(pointers):
            raise TraceDamaged(
                f"{self._path} is damaged: {what} has a page that holds one row twice",
                remedy=REEXPORT,
            )
        if kind in _LEAVES:
            return np.empty(0, np.int64)
        inside = pointers[pointers + 4 <= len(page)]
        left = _big(page[inside[:, None] + np.arange(4)].ravel(), 4)
        return self._known(np.concatenate((left, _big(head[8:12], 4))))


def _big(data: Bytes, width: int) -> NDArray[np.int64]:
    """Big-endian unsigned integers of `width` bytes."""
    whole = len(data) // width * width
    return np.frombuffer(data[:whole].tobytes(), f">u{width}").astype(np.int64)


def cells(buffer: Bytes, count: int, page_size: int, usable: int) -> Int64:
    """Where in the buffer each row of these leaf pages begins, in the order of rowids."""
    grid = buffer[: count * page_size].reshape(count, page_size)
    if (grid[:, 0] != LEAF).any():
        raise NotPlain
    rows = grid[:, 3].astype(np.int64) << 8 | grid[:, 4]
    most = int(rows.max(initial=0))
    if 8 + 2 * most > usable:
        raise NotPlain
    pointers = grid.view(">u2")[:, 4 : 4 + most].astype(np.int64)
    inside: Bool = np.arange(most) < rows[:, None]
    astray = (pointers < 8 + 2 * rows[:, None]) | (pointers > usable - 4)
    if bool((astray & inside).any()):
        raise NotPlain
    pointers += (np.arange(count) * page_size)[:, None]
    found: Int64 = pointers[inside]
    # SQLite fills pages from their end on, and a page lies behind the one before: the usual order.
    if np.count_nonzero(np.diff(found) >= 0) >= np.count_nonzero(rows):
        seen = np.zeros(len(buffer), np.bool_)
        seen[found] = True
        if np.count_nonzero(seen) < len(found):  # a row that stands in its page twice
            raise NotPlain
    return found


def positions(
    connection: sqlite3.Connection, table: str, wanted: tuple[str, ...]
) -> tuple[int, tuple[int, ...]]:
    """(root page of a table, where in its records each wanted column stands).

    Raises NotPlain where a column is not declared as an integer, or a text, kept in the record
    itself.
    """
    (root,) = connection.execute(
        "SELECT rootpage FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)
    ).fetchone()
    quoted = table.replace('"', '""')
    columns = connection.execute(f'PRAGMA table_xinfo("{quoted}")').fetchall()
    if not root or any(hidden for *_, hidden in columns):
        raise NotPlain
    place = {}
    for cid, name, kind, _, _, key, _ in columns:
        # A key may be the rowid itself, and other affinities change what a stored integer means.
        if not key:
            place[name] = cid, kind.upper()
    found = []
    for name in wanted:
        cid, kind = place.get(name, (-1, ""))
        if cid < 0 or not ("INT" in kind or "TEXT" in kind):
            raise NotPlain
        found.append(cid)
    return int(root), tuple(found)
