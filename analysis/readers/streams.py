"""Streams of several CUDA contexts under one number, told apart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..model.arrays import factorize
from ..model.intervals import Int64
from ..model.schema import NULL, Columns
from ..model.streams import stream_of

_KEY = ("globalPid", "streamId", "contextId")
_GREEN = 32
"""Bits of a context's id: that of a green context inside it stands above."""


def contexts_of(rows: Columns) -> Int64:
    """The context of each row, a green context being one of its own; NULL where none is told."""
    context: Int64 = rows["contextId"]
    green: Int64 | None = rows.get("greenContextId")
    if green is None or not (green > 0).any():
        return context
    inside = (green > 0) & (context != NULL)
    return np.where(inside, context + (green << _GREEN), context)


class StreamNumbers:
    """Which contexts of a process have a stream of some number: shown all rows, then asked."""

    def __init__(self) -> None:
        self._contexts: dict[tuple[int, int], set[int]] = {}
        """By (globalPid, number)."""

    def see(self, rows: Columns) -> None:
        """Note the streams of these rows: `globalPid`, `streamId` and `contextId`, shape (n,)."""
        for pid, number, context in _distinct(rows)[1]:
            if context != NULL:
                self._contexts.setdefault((pid, number), set()).add(context)

    @property
    def highest(self) -> int:
        """The largest that any stream goes by."""
        named = (stream_of(n, len(c) - 1) for (_, n), c in self._contexts.items())
        return max(named, default=0)

    def streams(self, rows: Columns) -> Int64:
        """What the stream of each row goes by; without a context, the recorder's number."""
        return self._renamed(rows, lambda number: number)

    def waited_for(self, rows: Columns) -> Int64:
        """The same of waits: NULL where the context is not told, and several have the number."""
        return self._renamed(rows, lambda _: NULL)

    def _renamed(self, rows: Columns, unknown: Callable[[int], int]) -> Int64:
        numbers: Int64 = rows["streamId"]
        if all(len(contexts) < 2 for contexts in self._contexts.values()):
            return numbers
        codes, distinct = _distinct(rows)
        table = [self._stream(pid, number, context, unknown) for pid, number, context in distinct]
        return np.array(table, np.int64)[codes]

    def _stream(self, pid: int, number: int, context: int, unknown: Callable[[int], int]) -> int:
        contexts = sorted(self._contexts.get((pid, number), ()))
        if len(contexts) < 2:
            return number
        if context == NULL:
            return unknown(number)
        return stream_of(number, contexts.index(context))


def _distinct(rows: Columns) -> tuple[Int64, list[tuple[int, int, int]]]:
    """The code of each row, and what each code stands for: process, number and context."""
    columns: list[Int64] = [rows[name] for name in _KEY]
    place = np.zeros(len(columns[0]), np.int64)
    for column in columns:
        codes, values = factorize(column)
        if len(values) > 1:
            place = factorize(place * len(values) + codes)[0].astype(np.int64)
    if not len(place):
        return place, []
    one = np.empty(int(place.max()) + 1, np.int64)
    one[place] = np.arange(len(place))  # any of the rows of each code
    return place, list(zip(*(column[one].tolist() for column in columns), strict=True))
