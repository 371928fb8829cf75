"""Columns of Arrow as the rest of the package wants them: int64 arrays and lists of texts.

Arrow trusts a file until its values are looked at: each column is checked whole before it is.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...model.schema import NULL
from ..errors import TraceDamaged, WrongColumnType

REEXPORT = "export the report again with `nsys export --type parquetdir` (or arrowdir, or sqlite)"


def texts(values: Any, where: str) -> list[str]:
    """Texts; nulls are empty, bytes that are no UTF-8 are replaced, numbers are written out.

    Raises TraceError for anything else, such as lists.
    """
    return [text for chunk in values.chunks for text in _texts(chunk, where)]


def _texts(chunk: Any, where: str) -> list[str]:
    import pyarrow as pa

    types = pa.types
    if types.is_dictionary(chunk.type):
        words = _texts(chunk.dictionary, where)
        chunk.indices.validate(full=True)
        # Rows that share a text go on sharing it. Arrow does not look at the ids that null rows
        # have; those of others have to be there.
        ids = chunk.indices.to_pylist()
        if any(k is not None and not 0 <= k < len(words) for k in ids):
            raise TraceDamaged(f"{where} refers to texts that the file lacks", remedy=REEXPORT)
        return ["" if k is None else words[k] for k in ids]
    if types.is_string(chunk.type):
        chunk = chunk.cast(pa.binary())  # the same bytes, of which not all need be UTF-8
    elif types.is_large_string(chunk.type):
        chunk = chunk.cast(pa.large_binary())
    kind = chunk.type
    chunk.validate(full=True)
    binary = (types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    if any(test(kind) for test in binary):
        return [(raw or b"").decode("utf-8", "replace") for raw in chunk.to_pylist()]
    plain = (types.is_null, types.is_integer, types.is_floating, types.is_boolean)
    if not any(test(kind) for test in plain):
        raise WrongColumnType(f"{where} holds {_short(kind)} values, not texts", remedy=REEXPORT)
    return ["" if text is None else str(text) for text in chunk.to_pylist()]


def integers(values: Any, where: str) -> NDArray[np.int64]:
    """Integers of any width as int64, `schema.NULL` for null. Unsigned ones keep their 64 bits, as
    SQLite does. Raises TraceError for anything else."""
    import pyarrow as pa

    values.validate(full=True)
    plain = values
    if pa.types.is_dictionary(plain.type):
        plain = plain.cast(plain.type.value_type)
    plain = plain.combine_chunks()
    kind = plain.type
    if pa.types.is_null(kind):
        return np.full(len(plain), NULL, np.int64)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        plain = plain.cast(pa.timestamp("ns") if pa.types.is_timestamp(kind) else pa.duration("ns"))
        plain = plain.cast(pa.int64())
    elif pa.types.is_boolean(kind):
        plain = plain.cast(pa.int8())
    elif not pa.types.is_integer(kind):
        raise WrongColumnType(f"{where} holds {_short(kind)} values, not integers", remedy=REEXPORT)
    missing = plain.is_null().to_numpy(zero_copy_only=False) if plain.null_count else None
    if missing is not None:
        plain = plain.fill_null(0)
    numbers = plain.to_numpy(zero_copy_only=False)
    if numbers.dtype == np.uint64:
        numbers = numbers.view(np.int64)
    # Arrow's own memory is read-only, and lives only as long as its file is mapped.
    result: NDArray[np.int64] = np.array(numbers, np.int64)
    if missing is not None:
        result[missing] = NULL
    return result


def _short(kind: Any) -> str:
    """The name of a type; that of a nested one can be as long as its file."""
    return " ".join(str(kind).split())[:60]
