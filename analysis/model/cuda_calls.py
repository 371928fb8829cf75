"""Which CUDA and HIP API calls are of which kind, by name without ABI suffix."""

from __future__ import annotations

import re
from collections.abc import Callable
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from .arrays import Bool
from .intervals import Int64
from .schema import CopyKind, Kind
from .trace import Calls, Operations, ThreadRows, Trace

SYNCHRONIZE = frozenset(
    {
        "cudaDeviceSynchronize",
        "cudaEventSynchronize",
        "cudaStreamSynchronize",
        "cudaThreadSynchronize",
        "cuCtxSynchronize",
        "cuEventSynchronize",
        "cuStreamSynchronize",
        "hipCtxSynchronize",
        "hipDeviceSynchronize",
        "hipEventSynchronize",
        "hipStreamSynchronize",
    }
)

_ALLOCATOR = re.compile(
    r"^((cuda|hip)(Malloc|Free|Host(Alloc|Malloc|Free|Register|Unregister)|MemPool)"
    r"|hipMem(AllocPitch|AllocHost|Create|Release|Map|Unmap|SetAccess|AddressReserve|AddressFree)"
    r"|hipExtMallocWithFlags"
    r"|cuMem(Alloc|Free|HostAlloc|HostRegister|HostUnregister|Create|Release|Map|Unmap"
    r"|SetAccess|AddressReserve|AddressFree|Pool))"
)

GRAPH_LAUNCH = re.compile(r"(cuda|hip|cu)GraphLaunch")

STREAM_WAIT = frozenset({"cudaStreamWaitEvent", "cuStreamWaitEvent", "hipStreamWaitEvent"})

HOST_FUNCTION = frozenset(
    {
        "cudaLaunchHostFunc",
        "cuLaunchHostFunc",
        "cudaStreamAddCallback",
        "hipLaunchHostFunc",
        "hipStreamAddCallback",
    }
)


def named(names: tuple[str, ...], wanted: Callable[[str], object]) -> Bool:
    """Which of a trace's call names are wanted; as a table for `Calls.name`, never empty."""
    return np.array([bool(wanted(name)) for name in names] or [False], np.bool_)


def allocating(calls: Calls, rows: Int64 | slice = slice(None)) -> Bool:
    """Which of these calls, or of all, are cudaMalloc, cudaFree and kin, the virtual-memory calls
    of expandable segments included."""
    return named(calls.names, _ALLOCATOR.match)[calls.name[rows]]


_known: WeakKeyDictionary[Trace, Bool] = WeakKeyDictionary()


def synchronizing(trace: Trace) -> Bool:
    """Calls that held the host until GPU work ended; shape (calls,).

    Stream, event, device and context synchronise; and a device-to-host copy, Async included,
    whose call ends at or after the end of its copy: a pageable copy holds the host without any
    synchronise row. A graph's launch is none, however early a copy inside the graph ends.
    """
    if trace in _known:
        return _known[trace]
    calls, operations = trace.calls, trace.operations
    mask = calls.named(SYNCHRONIZE)
    launch, held = holding_copies(operations, calls)
    mask[launch[held]] = True
    _known[trace] = mask
    return mask


def know_synchronizing(trace: Trace, mask: Bool) -> None:
    """Say beforehand what `synchronizing` would find, for a trace that is part of another."""
    _known[trace] = mask


def copied_to_host(kind: NDArray[np.int8], copy_kind: NDArray[np.int8]) -> Bool:
    """Which operations are copies to the host."""
    to_host: Bool = (copy_kind == CopyKind.DTOH) | (copy_kind == CopyKind.ATOH)
    to_host &= kind == Kind.MEMCPY
    return to_host


def holding_copies(operations: Operations, calls: Calls) -> tuple[Int64, Bool]:
    """Calls of device-to-host copies, and which of them ended no earlier than their copy."""
    graphs = calls.named({name for name in calls.names if GRAPH_LAUNCH.match(name)})
    to_host = copied_to_host(operations.kind, operations.copy_kind)
    copies = np.flatnonzero(to_host & (operations.launch >= 0))
    copies = copies[~graphs[operations.launch[copies]]]
    launch = operations.launch[copies]
    return launch, calls.end[launch] >= operations.end[copies]


def thread_rows(calls: Calls, rows: Int64) -> ThreadRows:
    """The chosen calls as intervals on their threads."""
    return ThreadRows(calls.thread[rows], calls.start[rows], calls.end[rows])
