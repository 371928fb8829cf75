"""The integers of many SQLite records at once.

A record is a header, which gives each value's type and so its length, and the values. Rows of one
table share few headers, so all rows with the header of the first are taken apart together, then
those with the header of the first one left, and so on.
(https://www.sqlite.org/fileformat2.html#record_format)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool
from ...model.intervals import Int64
from ...model.schema import NULL
from .pages import Bytes, NotPlain, PageFile, cells

_SIZES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8, 8: 0, 9: 0}
"""Bytes of each type of integer; 0 is NULL, 8 and 9 are the numbers 0 and 1."""
_CONSTANT = {0: NULL, 8: 0, 9: 1}
_MOST_SHAPES = 512
"""Shapes among the rows of one call beyond which SQLite is as fast."""


class _Shape(Struct, frozen=True):
    """What rows have in common: the bytes up to the last type that matters.

    `mask` and `bits` tell these rows from others; `fields` gives, for each wanted column, where its
    value lies in the row and its type; `types` are those of the texts; `end` is where the last of
    all these ends.
    """

    mask: bytes
    bits: bytes
    fields: tuple[tuple[int, int], ...]
    types: tuple[int, ...]
    end: int
    payload_bytes: int


def _rowid(buffer: Bytes, cell: int) -> int:
    head = buffer[cell : cell + 20].tobytes()
    return _varint(head, _varint(head, 0)[1])[0]


def decode(
    file: PageFile,
    numbers: Int64,
    wanted: tuple[int, ...],
    texts: tuple[int, ...],
    room: Callable[[int, int], list[Int64]],
) -> None:
    """Read the rows on these leaf pages.

    `wanted` are the columns' positions in the record; `texts` those of columns of which only the
    type is told, 0 for NULL. `room(rowid of the first row, rows)` gives an array for each of both.
    Raises NotPlain where a wanted value is no integer, where a record ends before a wanted column,
    or where the pages are not what they should be; the arrays then hold anything.
    """
    buffer = file.read(numbers)
    at = cells(buffer, len(numbers), file.page_size, file.usable)
    if len(at) == 0:
        raise NotPlain
    result = room(_rowid(buffer, int(at[0])), len(at))
    within = at & (file.page_size - 1)
    # Of a record that does not fit its page, at least this much is in it.
    local = (file.usable - 12) * 32 // 255 - 23
    rest: Int64 | None = None
    rows, width = np.empty(0, "V1"), 0
    for _ in range(_MOST_SHAPES):
        left = at if rest is None else at[rest]
        sample = buffer[left[0] : left[0] + file.page_size].tobytes()
        shape = _shape(sample, wanted, texts)
        if shape.end > local:
            raise NotPlain
        need = -(-max(shape.end + 8, len(shape.mask)) // 8) * 8
        if need > width:
            width = need
            rows = np.ndarray(
                (len(buffer) - width,), f"V{width}", buffer.data, strides=(1,)
            )[left]  # fmt: skip
        same = _alike(rows, width, shape)
        every = bool(same.all())
        chosen = rows if every else rows[same]
        bases = within if rest is None else within[rest]
        _check(chosen, shape, bases if every else bases[same], file.usable)
        target = rest if every else np.flatnonzero(same) if rest is None else rest[same]
        for column, field in zip(result, shape.fields, strict=False):
            _value(chosen, width, field, column, target)
        for column, kind in zip(result[len(wanted) :], shape.types, strict=True):
            column[slice(None) if target is None else target] = kind
        if every:
            return
        other = ~same
        rows = rows[other]
        rest = np.flatnonzero(other) if rest is None else rest[other]
    raise NotPlain


def _shape(row: bytes, wanted: tuple[int, ...], texts: tuple[int, ...]) -> _Shape:
    _, payload_bytes = _varint(row, 0)
    _, start = _varint(row, payload_bytes)
    header, at = _varint(row, start)
    offset = start + header
    fields = []
    for _ in range(max((*wanted, *texts)) + 1):
        kind, at = _varint(row, at)
        fields.append((offset, kind))
        offset += _SIZES[kind] if kind in _SIZES else _size(kind)
    # A short header belongs to a row that is older than its columns.
    if payload_bytes > 2 or at > start + header:
        raise NotPlain
    if any(fields[k][1] not in _SIZES for k in wanted):
        raise NotPlain
    # The high bit of a number's byte says whether another follows.
    mask = b"\x80" * start + b"\xff" * (at - start)
    bits = bytes(byte & 0x80 for byte in row[:start]) + row[start:at]
    return _Shape(
        mask,
        bits,
        tuple(fields[k] for k in wanted),
        tuple(fields[k][1] for k in texts),
        offset,
        payload_bytes,
    )


def _size(kind: int) -> int:
    """Bytes of a value that is no integer: a float, a blob or a text."""
    if kind == 7:
        return 8
    if kind < 12:
        raise NotPlain
    return (kind - 12) // 2


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """SQLite's number of one to nine bytes, signed, and where it ends."""
    value = 0
    for k in range(8):
        if at + k >= len(data):
            raise NotPlain
        value = value << 7 | data[at + k] & 0x7F
        if data[at + k] < 0x80:
            return value, at + k + 1
    if at + 8 >= len(data):
        raise NotPlain
    value = value << 8 | data[at + 8]
    return value - (1 << 64) if value >> 63 else value, at + 9


def _alike(rows: np.ndarray, width: int, shape: _Shape) -> Bool:
    """Which rows have this shape."""
    same: Bool | None = None
    count = -(-len(shape.mask) // 8)
    mask = np.frombuffer(shape.mask.ljust(8 * count, b"\0"), np.uint64)
    bits = np.frombuffer(shape.bits.ljust(8 * count, b"\0"), np.uint64)
    for k in range(count):
        word = np.ndarray((len(rows),), np.uint64, rows.data, offset=8 * k, strides=(width,))
        equal = (word & mask[k]) == bits[k]
        same = equal if same is None else same & equal
    assert same is not None
    return same


def _check(rows: np.ndarray, shape: _Shape, within: Int64, usable: int) -> None:
    """Refuse rows that end before their values do, or beyond their page."""
    width = rows.dtype.itemsize
    head = np.ndarray((len(rows), 2), np.uint8, rows.data, strides=(width, 1))
    if shape.payload_bytes == 1:
        least = int(head[:, 0].min())
    else:
        least = int(((head[:, 0].astype(np.int64) & 0x7F) << 7 | head[:, 1]).min())
    if least < shape.end - _payload_start(shape) or int(within.max()) + shape.end > usable:
        raise NotPlain


def _payload_start(shape: _Shape) -> int:
    return shape.mask.index(b"\xff")


def _value(
    rows: np.ndarray, width: int, field: tuple[int, int], column: Int64, target: Int64 | None
) -> None:
    """Put one value of each row in its place: `target`, or all in turn."""
    offset, kind = field
    if kind in _CONSTANT:
        column[slice(None) if target is None else target] = _CONSTANT[kind]
        return
    size = _SIZES[kind]
    # Three and six bytes are read with those behind them, which the shift drops.
    stored = f">i{size}" if size in (1, 2, 4, 8) else ">i4" if size == 3 else ">i8"
    values = np.ndarray((len(rows),), stored, rows.data, offset=offset, strides=(width,))
    shift = 8 * (np.dtype(stored).itemsize - size)
    if target is None:
        column[...] = values
        if shift:
            np.right_shift(column, shift, out=column)
    else:
        column[target] = values.astype(np.int64) >> shift
