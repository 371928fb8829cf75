"""Sorting more rows than fit in memory: sorted runs in files, merged by ranges of the key."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import numpy as np
from msgspec import Struct

from ..model.arrays import factorize
from ..model.intervals import Int64
from .folder import Array
from .layout import INT64, narrow

_SAMPLED = 1024
"""Rows of a run for each one whose key is looked at to choose where to cut."""


class _Piece(Struct, frozen=True):
    """Where the values of one column of one run lie in the column's file."""

    at: int
    kind: np.dtype[np.generic]
    rows: int


class Runs:
    """Rows of one kind, added in any order and given back by ranges of their key.

    The key is two columns, the first of which may be constant. Rows of equal key come back in the
    order in which they were added.
    """

    def __init__(
        self, folder: Path, name: str, key: tuple[str, str], distinct: tuple[str, ...] = ()
    ) -> None:
        self._folder, self._name, self._key = folder, name, key
        self.distinct: dict[str, set[int]] = {column: set() for column in distinct}
        """The values of some columns."""
        self._files: dict[str, IO[bytes]] = {}
        self._runs: list[dict[str, _Piece]] = []
        self._samples: list[tuple[Int64, Int64]] = []
        self.rows = 0
        self.extent: dict[str, tuple[int, int]] = {}
        """Least and largest value of each column."""

    def add(self, columns: dict[str, Int64]) -> None:
        """Sort one stretch of rows by the key and put it aside."""
        major, minor = (columns[name] for name in self._key)
        if len(major) == 0:
            return
        order = None
        # Compared and not subtracted: NULL is 2**63 below zero.
        same = major[1:] == major[:-1]
        if (major[1:] < major[:-1]).any() or (same & (minor[1:] < minor[:-1])).any():
            order = np.lexsort((minor, major))
            major, minor = major[order], minor[order]
        self._samples.append((major[::_SAMPLED].copy(), minor[::_SAMPLED].copy()))
        for name, seen in self.distinct.items():
            seen.update(factorize(columns[name])[1].tolist())
        run = {}
        for name, column in columns.items():
            low, high = int(column.min()), int(column.max())
            known = self.extent.get(name, (low, high))
            self.extent[name] = (min(low, known[0]), max(high, known[1]))
            kind = np.dtype(np.int64) if name in self._key else narrow(INT64, low, high)
            values = column if order is None else column[order]
            run[name] = self._put(name, np.ascontiguousarray(values, kind))
        self._runs.append(run)
        self.rows += len(major)

    def _put(self, name: str, values: Array) -> _Piece:
        if name not in self._files:
            path = self._folder / f"{self._name}.{name}.run"
            self._files[name] = path.open("w+b")
        file = self._files[name]
        at = file.tell()
        file.write(values.view(np.uint8).data)
        file.write(bytes(-values.nbytes % 8))
        return _Piece(at, values.dtype, len(values))

    def merged(self, most: int) -> Iterator[dict[str, Int64]]:
        """All rows by ranges of the key, about `most` at a time; within a range unsorted.

        Rows of equal key are never parted. The files go when the last range was given.
        """
        for file in self._files.values():
            file.flush()
        keys = {name: self._maps(name) for name in self._key}
        cuts = [self._cuts(keys, k, self._splitters(most)) for k in range(len(self._runs))]
        for j in range(len(cuts[0]) - 1 if cuts else 0):
            parts = [(k, c[j], c[j + 1]) for k, c in enumerate(cuts) if c[j + 1] > c[j]]
            if parts:
                yield {
                    name: np.concatenate([self._read(name, *part) for part in parts])
                    for name in self._files
                }
        del keys
        for name, file in self._files.items():
            file.close()
            (self._folder / f"{self._name}.{name}.run").unlink()

    def _splitters(self, most: int) -> tuple[Int64, Int64]:
        """Keys that cut all rows into ranges of about `most` rows."""
        major = np.concatenate([part[0] for part in self._samples])
        minor = np.concatenate([part[1] for part in self._samples])
        order = np.lexsort((minor, major))[:: max(most // _SAMPLED, 1)][1:]
        return major[order], minor[order]

    def _maps(self, name: str) -> list[Int64]:
        path = self._folder / f"{self._name}.{name}.run"
        if not path.stat().st_size:
            return []
        whole = np.memmap(path, np.uint8, "r")
        pieces = [run[name] for run in self._runs]
        return [whole[p.at : p.at + 8 * p.rows].view(np.int64) for p in pieces]

    def _cuts(
        self, keys: dict[str, list[Int64]], k: int, splitters: tuple[Int64, Int64]
    ) -> list[int]:
        """Where a run is cut."""
        major, minor = (keys[name][k] for name in self._key)
        found = [0]
        for first, second in zip(*(part.tolist() for part in splitters), strict=True):
            lo = int(np.searchsorted(major, first, side="left"))
            hi = int(np.searchsorted(major, first, side="right"))
            found.append(lo + int(np.searchsorted(minor[lo:hi], second, side="left")))
        found.append(len(major))
        return found

    def _read(self, name: str, run: int, lo: int, hi: int) -> Int64:
        piece, file = self._runs[run][name], self._files[name]
        width = piece.kind.itemsize
        file.seek(piece.at + lo * width)
        data = file.read((hi - lo) * width)
        return np.frombuffer(data, piece.kind).astype(np.int64)


def taken(rows: dict[str, Any], order: Int64) -> dict[str, Any]:
    """These rows of all columns."""
    return {name: column[order] for name, column in rows.items()}
