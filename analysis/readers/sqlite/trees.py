"""Whether the pages of an SQLite table are a tree, looked at before SQLite walks them.

SQLite follows page numbers as they stand. A small file whose pages point many times to the same
page holds more rows than any machine can read; so does a page that names one row many times.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...model.errors import TraceError
from .sql import REEXPORT

LOOKED_AT_BYTES = 64 << 20
"""Larger files are not looked at: walking their pages would cost as much as reading them."""

_INTERIOR, _LEAF = (2, 5), (10, 13)

Bytes = NDArray[np.uint8]


class Pages:
    """The pages of one file. `page`: bytes of each."""

    def __init__(self, path: Path, page: int) -> None:
        self._path = path
        self._page = page
        size = path.stat().st_size
        small = 0 < size <= LOOKED_AT_BYTES and page >= 512
        self._data: Bytes = np.fromfile(path, np.uint8) if small else np.empty(0, np.uint8)
        self._count = len(self._data) // page if small else 0

    def check(self, root: int, what: str) -> None:
        """Raises TraceError where a page of the tree at `root` occurs twice, or a row does."""
        seen = np.zeros(self._count + 1, np.bool_)
        level = self._known(np.array([root], np.int64))
        while len(level):
            if seen[level].any() or len(np.unique(level)) < len(level):
                raise TraceError(
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
        start = {**dict.fromkeys(_INTERIOR, 12), **dict.fromkeys(_LEAF, 8)}.get(kind)
        if start is None:
            return np.empty(0, np.int64)
        pointers = _big(head[start : start + 2 * cells], 2)
        if len(np.unique(pointers)) < len(pointers):
            raise TraceError(
                f"{self._path} is damaged: {what} has a page that holds one row twice",
                remedy=REEXPORT,
            )
        if kind in _LEAF:
            return np.empty(0, np.int64)
        inside = pointers[pointers + 4 <= len(page)]
        left = _big(page[inside[:, None] + np.arange(4)].ravel(), 4)
        return self._known(np.concatenate((left, _big(head[8:12], 4))))


def _big(data: Bytes, width: int) -> NDArray[np.int64]:
    """Big-endian unsigned integers of `width` bytes."""
    whole = len(data) // width * width
    return np.frombuffer(data[:whole].tobytes(), f">u{width}").astype(np.int64)
