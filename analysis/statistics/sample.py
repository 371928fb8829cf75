"""Exact quantiles of more durations than are to be held."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import IO

import numpy as np

from ..model.intervals import Int64
from .quantiles import Quantiles

_BITS = 16
"""Bits looked at in one pass over the file."""


class Sample:
    """Durations, ns, in memory up to `limit` of them, else in a file without a name.

    `quantiles` then finds the values that it needs by their leading bits: a few passes over the
    file, and never more than `limit` values at once. What it says is exact.
    """

    def __init__(self, limit: int, folder: str | None = None) -> None:
        self._limit = max(limit, 1)
        self._folder = folder
        self._parts: list[Int64] = []
        self._held = 0
        self._file: IO[bytes] | None = None
        self.count = self.total = self._highest = 0

    def add(self, values: Int64) -> None:
        """Durations, none of them negative."""
        if len(values) == 0:
            return
        self.count += len(values)
        self.total += int(values.sum())
        self._highest = max(self._highest, int(values.max()))
        self._parts.append(values.copy())
        self._held += len(values)
        if self._held > self._limit:
            self._spill()

    def _spill(self) -> None:
        if self._file is None:
            # It has no name, and is gone with this object.
            self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115
        for part in self._parts:
            self._file.write(part.view(np.uint8).data)
        self._parts, self._held = [], 0

    def quantiles(self) -> Quantiles | None:
        """As `Quantiles.of` all of them."""
        if self._file is None:
            return Quantiles.of(np.concatenate(self._parts)) if self._parts else None
        self._spill()
        return Quantiles.of_ranks(self.count, self.total, self._select)

    def _stretches(self) -> Iterator[Int64]:
        assert self._file is not None
        self._file.seek(0)
        while data := self._file.read(8 * self._limit):
            yield np.frombuffer(data, np.int64)

    def _select(self, ranks: list[int]) -> dict[int, int]:
        """The values at these positions of the sorted sample."""
        found: dict[int, int] = {}
        # (leading bits, how many bits follow them, [(position asked for, position among those)])
        todo = [(0, self._highest.bit_length(), [(rank, rank) for rank in ranks])]
        while todo:
            prefix, bits, wanted = todo.pop()
            shift = max(bits - _BITS, 0)
            upto = np.concatenate(([0], np.cumsum(self._count(prefix, bits, shift))))
            groups: dict[int, list[tuple[int, int]]] = {}
            for rank, within in wanted:
                digit = int(np.searchsorted(upto, within, side="right")) - 1
                groups.setdefault(digit, []).append((rank, within - int(upto[digit])))
            for digit, inside in groups.items():
                value = prefix << (bits - shift) | digit
                if shift == 0:
                    found.update((rank, value) for rank, _ in inside)
                else:
                    todo.append((value, shift, inside))
        return found

    def _count(self, prefix: int, bits: int, shift: int) -> Int64:
        """Of the values with these leading bits, how many have each next digit."""
        width = 1 << (bits - shift)
        counts = np.zeros(width, np.int64)
        for part in self._stretches():
            mine = part[part >> bits == prefix] if prefix or bits < 63 else part
            counts += np.bincount(mine >> shift & (width - 1), minlength=width)
        return counts
