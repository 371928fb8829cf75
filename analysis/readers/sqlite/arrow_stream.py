"""The Arrow C data interface through ctypes: record batches of a stream as numpy arrays.

Calls made through ctypes release the interpreter's lock, so that several tables can be read at
once by threads. nanoarrow, tried in its place, gives the same bytes for the same CPU time, but
holds the lock while SQLite fills a batch, and costs three to four times as much to import. The
structs are Arrow's stable ABI (https://arrow.apache.org/docs/format/CDataInterface.html).
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

_T = TypeVar("_T", np.int64, np.int32)


class _Array(ctypes.Structure):
    pass


class _Schema(ctypes.Structure):
    pass


class _Stream(ctypes.Structure):
    pass


_ReleaseArray = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Array))
_ReleaseSchema = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Schema))
_ReleaseStream = ctypes.CFUNCTYPE(None, ctypes.POINTER(_Stream))
_GetSchema = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Schema))
_GetNext = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(_Stream), ctypes.POINTER(_Array))
_GetError = ctypes.CFUNCTYPE(ctypes.c_char_p, ctypes.POINTER(_Stream))

_Array._fields_ = [
    ("length", ctypes.c_int64),
    ("null_count", ctypes.c_int64),
    ("offset", ctypes.c_int64),
    ("n_buffers", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("buffers", ctypes.POINTER(ctypes.c_void_p)),
    ("children", ctypes.POINTER(ctypes.POINTER(_Array))),
    ("dictionary", ctypes.POINTER(_Array)),
    ("release", _ReleaseArray),
    ("private_data", ctypes.c_void_p),
]
_Schema._fields_ = [
    ("format", ctypes.c_char_p),
    ("name", ctypes.c_char_p),
    ("metadata", ctypes.c_char_p),
    ("flags", ctypes.c_int64),
    ("n_children", ctypes.c_int64),
    ("children", ctypes.POINTER(ctypes.POINTER(_Schema))),
    ("dictionary", ctypes.POINTER(_Schema)),
    ("release", _ReleaseSchema),
    ("private_data", ctypes.c_void_p),
]
_Stream._fields_ = [
    ("get_schema", _GetSchema),
    ("get_next", _GetNext),
    ("get_last_error", _GetError),
    ("release", _ReleaseStream),
    ("private_data", ctypes.c_void_p),
]

_FORMATS = {b"l": "int64", b"g": "double", b"u": "string", b"U": "string", b"z": "binary"}


class ArrowError(Exception):
    """The producer of a stream reported a failure, in its own words."""


class Column(Struct, frozen=True):
    """One column of one batch. Its arrays are the batch's own memory: copy what you keep."""

    type: str
    """`int64`, `double`, `string`, `binary`, or Arrow's own format text."""
    length: int
    valid: NDArray[np.bool_] | None
    """None where no value is null."""
    _array: _Array
    _format: bytes

    def int64(self) -> NDArray[np.int64]:
        """Values of an int64 column, shape (length,); null slots hold anything."""
        return _view(self._array, 1, np.int64, self.length, self._array.offset)

    @property
    def text_bytes(self) -> int:
        """Length of all values of a string column together; 0 for other columns."""
        if self._format not in (b"u", b"U") or self.length == 0:
            return 0
        count, offset = self.length + 1, self._array.offset
        if self._format == b"U":
            return int(np.ptp(_view(self._array, 1, np.int64, count, offset)[[0, -1]]))
        return int(np.ptp(_view(self._array, 1, np.int32, count, offset)[[0, -1]]))

    def texts(self) -> list[str]:
        """Values of a string column; undecodable bytes are replaced, nulls are empty."""
        count, offset = self.length + 1, self._array.offset
        if self._format == b"U":
            ends: list[int] = _view(self._array, 1, np.int64, count, offset).tolist()
        else:
            ends = _view(self._array, 1, np.int32, count, offset).tolist()
        data = ctypes.string_at(self._array.buffers[2], ends[-1]) if ends[-1] else b""
        return [data[a:b].decode("utf-8", "replace") for a, b in pairwise(ends)]


def _view(array: _Array, buffer: int, dtype: type[_T], count: int, offset: int) -> NDArray[_T]:
    address = array.buffers[buffer]
    if not address or count == 0:
        return np.zeros(count, dtype)
    raw = (ctypes.c_char * ((offset + count) * np.dtype(dtype).itemsize)).from_address(address)
    return np.frombuffer(memoryview(raw), dtype)[offset:]


def _column(array: _Array, arrow_format: bytes) -> Column:
    valid = None
    if array.null_count and array.buffers[0]:
        size = (array.offset + array.length + 7) // 8
        bits = (ctypes.c_uint8 * size).from_address(array.buffers[0])
        flags = np.unpackbits(np.frombuffer(memoryview(bits), np.uint8), bitorder="little")
        valid = flags[array.offset : array.offset + array.length] == 1
    kind = _FORMATS.get(arrow_format, arrow_format.decode("ascii", "replace"))
    return Column(kind, array.length, valid, array, arrow_format)


@contextmanager
def _released(item: _Array | _Schema) -> Iterator[None]:
    try:
        yield
    finally:
        if item.release:
            item.release(ctypes.byref(item))


def batches(address: int) -> Iterator[list[Column]]:
    """Record batches of the ArrowArrayStream at `address`, columns in order.

    A batch's memory is freed when the next one is asked for. The caller releases the stream.
    Raises ArrowError.
    """
    stream = _Stream.from_address(address)

    def check(code: int) -> None:
        if code:
            said = stream.get_last_error(ctypes.byref(stream))
            raise ArrowError(said.decode("utf-8", "replace") if said else f"error {code}")

    schema = _Schema()
    check(stream.get_schema(ctypes.byref(stream), ctypes.byref(schema)))
    with _released(schema):
        formats = [schema.children[k].contents.format for k in range(schema.n_children)]
        while True:
            array = _Array()
            check(stream.get_next(ctypes.byref(stream), ctypes.byref(array)))
            if not array.release:
                return
            with _released(array):
                children = [array.children[k].contents for k in range(array.n_children)]
                yield [_column(c, f) for c, f in zip(children, formats, strict=True)]
