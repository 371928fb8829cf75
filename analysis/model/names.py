"""Names of many operations at once."""

from __future__ import annotations

import numpy as np

from ..readers.join import operation_name
from .arrays import Code, factorize
from .intervals import Int64
from .schema import Kind
from .trace import Trace


def operation_names(trace: Trace, rows: Int64) -> tuple[Code, list[str]]:
    """(index into the names for each row, distinct names), as `Trace.name_of` gives them."""
    operations = trace.operations
    kind = operations.kind[rows].astype(np.int64)
    # Kernels share a name by its id, copies by their kind.
    other = operations.copy_kind[rows].astype(np.int64) + 256 * kind
    key = np.where(kind == Kind.KERNEL, operations.name[rows], -(2**62) - other)
    codes, _ = factorize(key)
    _, first = np.unique(codes, return_index=True)
    return codes, [operation_name(trace, int(rows[k])) for k in first.tolist()]
