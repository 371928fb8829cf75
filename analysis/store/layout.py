"""Which columns a store holds. Each is one file of raw values, as narrow as the values allow."""

from __future__ import annotations

import numpy as np

from ..model.schema import SEQUENCE

FORMAT = 6
"""Raised with every change of what the files mean: older stores are then built anew."""

INT64, CODE, BYTE, BOOL, FLAGS = "int64", "int32", "int8", "bool", "uint8"
"""What a column is in memory, as the fields of `trace` are declared."""

GROUPS: dict[str, dict[str, str]] = {
    "operations": {
        "start": INT64, "end": INT64, "kind": BYTE, "device": CODE, "process": CODE,
        "stream": INT64, "correlation": INT64, "name": INT64, "copy_kind": BYTE, "peer": BOOL,
        "pageable": BOOL, "node": INT64, "sequence": CODE, "launch": INT64,
    },
    "calls": {
        "start": INT64, "end": INT64, "thread": CODE, "process": CODE, "correlation": INT64,
        "name": CODE, "flags": FLAGS,
    },
    "synchronizations": {
        "start": INT64, "end": INT64, "kind": BYTE, "process": CODE, "stream": INT64,
        "correlation": INT64, "call": INT64,
    },
    "ranges": {
        "start": INT64, "end": INT64, "thread": CODE, "end_thread": CODE, "name": INT64,
        "domain": INT64, "unclosed": BOOL,
    },
    "overheads": {
        "start": INT64, "end": INT64, "thread": CODE, "process": CODE, "name": INT64,
    },
    "holds": {
        "start": INT64, "end": INT64, "kind": BYTE, "device": CODE, "process": CODE,
    },
}  # fmt: skip

AS_EXPORTED: dict[str, dict[str, str]] = {
    "calls": {"start": "start", "end": "end", "correlation": "correlationId"},
    "operations": {
        "start": "start", "end": "end", "stream": "streamId", "correlation": "correlationId",
        "name": "shortName", "node": "node", "sequence": SEQUENCE,
    },
    "ranges": {"start": "start", "end": "end", "name": "name", "domain": "domainId"},
}  # fmt: skip
"""Column of the store: column of the export, where its values are stored as they are."""

FAILED, SYNCHRONIZING, LAUNCHED, REPEATED, GOES_ON = 1, 2, 4, 8, 16
"""Bits of `calls.flags`: returned an error; held the host until GPU work ended; launched an
operation; shares its (process, correlationId) with another call; goes on with the wait of the call
before it."""

BLOCK = 4096
"""Rows for each entry of the index: the latest end among them."""
INDEXED = ("operations", "calls", "ranges")

_NARROW = (np.int8, np.int16, np.int32, np.int64)


def narrow(logical: str, low: int, high: int) -> np.dtype[np.generic]:
    """The smallest type on disk for values from `low` to `high`."""
    if logical in (BOOL, FLAGS, BYTE):
        return np.dtype(logical)
    fits = (t for t in _NARROW if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return np.dtype(next(fits))
