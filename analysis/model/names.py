"""What a person calls a GPU operation."""

from __future__ import annotations

import numpy as np

from .arrays import Code, factorize
from .intervals import Int64
from .schema import Kind
from .trace import Operations, Strings, Trace

_COPIES = {
    1: "memcpy HtoD", 2: "memcpy DtoH", 3: "memcpy HtoA", 4: "memcpy AtoH", 5: "memcpy AtoA",
    6: "memcpy AtoD", 7: "memcpy DtoA", 8: "memcpy DtoD", 9: "memcpy HtoH", 10: "memcpy PtoP",
    11: "memcpy UVM HtoD", 12: "memcpy UVM DtoH", 13: "memcpy UVM DtoD",
}  # fmt: skip


def operation_name(trace: Trace, operation: int) -> str:
    """Kernel name, kind of copy, `memset` or `CUDA graph`."""
    return name_of(trace.operations, trace.strings, operation)


def name_of(operations: Operations, strings: Strings, operation: int) -> str:
    """The same of some operations of a trace with these strings."""
    kind = Kind(int(operations.kind[operation]))
    if kind is Kind.KERNEL:
        return strings[int(operations.name[operation])] or "kernel"
    if kind is Kind.MEMCPY:
        return _COPIES.get(int(operations.copy_kind[operation]), "memcpy")
    return "memset" if kind is Kind.MEMSET else "CUDA graph"


def operation_names(trace: Trace, rows: Int64) -> tuple[Code, list[str]]:
    """(index into the names for each row, distinct names), as `operation_name` gives them."""
    operations = trace.operations
    kind = operations.kind[rows].astype(np.int64)
    # Kernels share a name by its id, copies by their kind.
    other = operations.copy_kind[rows].astype(np.int64) + 256 * kind
    key = np.where(kind == Kind.KERNEL, operations.name[rows], -(2**62) - other)
    codes, _ = factorize(key)
    _, first = np.unique(codes, return_index=True)
    return codes, [operation_name(trace, int(rows[k])) for k in first.tolist()]
