"""Columns of whole numbers that grow: times in nanoseconds, ids of texts."""

from __future__ import annotations

from decimal import Decimal, DecimalException

import numpy as np

from ...model.intervals import Int64
from ...model.schema import NULL

WILD = 2**62
"""Stands for a time that no clock gives; it stays beyond `schema.MAX_TIME` from any epoch."""


def nanoseconds(text: bytes) -> int:
    """A JSON number of microseconds as whole nanoseconds, NULL where it is none.

    No float on the way: `4613307516141.939` has more digits than a double keeps.

    >>> nanoseconds(b"4613307516141.939"), nanoseconds(b"7"), nanoseconds(b"1.5")
    (4613307516141939, 7000, 1500)
    """
    whole, dot, decimals = text.partition(b".")
    try:
        if not dot:
            value = int(whole) * 1000
        elif len(decimals) <= 3:
            value = int(whole + decimals.ljust(3, b"0"))
        else:
            return _rounded(text)
    except ValueError:
        return _rounded(text)
    return value if -WILD < value < WILD else WILD


def _rounded(text: bytes) -> int:
    """The slow way: exponents, more than three decimals, numbers inside quotes."""
    try:
        value = Decimal(text.decode("ascii", "replace").strip('"')) * 1000
    except DecimalException:  # no number, or one that no Decimal holds
        return NULL
    if not value.is_finite():
        return NULL
    return int(value.to_integral_value()) if abs(value) < WILD else WILD


class Names:
    """Ids of texts, from 1."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def __call__(self, text: object) -> int:
        name = text if isinstance(text, str) else str(text)
        return self.ids.setdefault(name, len(self.ids) + 1)


class Table:
    """Columns that grow piece by piece, 8 bytes a value."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self.add: list[tuple[int, ...]] = []
        """Rows of the piece at hand."""
        self._pieces: list[Int64] = []
        """Each of shape (columns, rows)."""

    def close_piece(self) -> None:
        """Turn the rows gathered so far into compact columns."""
        if self.add:
            self._pieces.append(np.array(self.add, np.int64).T.copy())
            self.add.clear()

    def __len__(self) -> int:
        return sum(len(piece[0]) for piece in self._pieces) + len(self.add)

    def __getitem__(self, name: str) -> Int64:
        """Shape (rows,)."""
        self.close_piece()
        at = self.columns.index(name)
        if not self._pieces:
            return np.empty(0, np.int64)
        return np.concatenate([piece[at] for piece in self._pieces])
