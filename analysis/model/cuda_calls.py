"""Which API calls are of which kind, by name without ABI suffix."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from .arrays import Bool
from .flag_finder import CallTable, FlagFinder
from .flag_waits import FlagWaits
from .intervals import Int64
from .polling import polled
from .schema import MAX_TIME, CopyKind, Kind
from .trace import Calls, Operations, ThreadRows, Trace

EVENT_SYNCHRONIZE = frozenset(
    {
        "cudaEventSynchronize",
        "cuEventSynchronize",
        "hipEventSynchronize",
        "urEventWait",
        "piEventsWait",
        "zeEventHostSynchronize",
        "zeFenceHostSynchronize",
        "aclrtSynchronizeEvent",
        "aclrtSynchronizeEventWithTimeout",
    }
)
"""CUDA's, HIP's, Intel's (Unified Runtime, its forerunner, Level Zero) and Ascend's."""

STREAM_SYNCHRONIZE = frozenset(
    {
        "cudaStreamSynchronize",
        "cuStreamSynchronize",
        "hipStreamSynchronize",
        "urQueueFinish",
        "piQueueFinish",
        "zeCommandQueueSynchronize",
        "zeCommandListHostSynchronize",
        "aclrtSynchronizeStream",
        "aclrtSynchronizeStreamWithTimeout",
    }
)

DEVICE_SYNCHRONIZE = frozenset(
    {
        "cudaDeviceSynchronize",
        "cudaThreadSynchronize",
        "cuCtxSynchronize",
        "hipCtxSynchronize",
        "hipDeviceSynchronize",
        "aclrtSynchronizeDevice",
        "aclrtSynchronizeDeviceWithTimeout",
    }
)

SYNCHRONIZE = EVENT_SYNCHRONIZE | STREAM_SYNCHRONIZE | DEVICE_SYNCHRONIZE

_ALLOCATOR = re.compile(
    r"^((cuda|hip)(Malloc|Free|Host(Alloc|Malloc|Free|Register|Unregister)|MemPool)"
    r"|hipMem(AllocPitch|AllocHost|Create|Release|Map|Unmap|SetAccess|AddressReserve|AddressFree)"
    r"|hipExtMallocWithFlags"
    r"|cuMem(Alloc|Free|HostAlloc|HostRegister|HostUnregister|Create|Release|Map|Unmap"
    r"|SetAccess|AddressReserve|AddressFree|Pool)"
    r"|(ur|pi)(ext)?(USM(Host|Device|Shared|Pitched)?(Alloc|MemAlloc|Free)|MemBufferCreate)"
    r"|ur(VirtualMem(Reserve|Free|Map|Unmap)|PhysicalMem(Create|Release))"
    r"|ze(Mem(Alloc|Free)|(Virtual|Physical)Mem(Reserve|Free|Map|Unmap|Create|Destroy))"
    r"|aclrt(Malloc|Free|MallocHost|FreeHost|ReserveMemAddress|MapMem|UnmapMem))"
)

GRAPH_LAUNCH = re.compile(r"(cuda|hip|cu)GraphLaunch")

EVENT_RECORD = re.compile(r"^(cuda|hip|cu|aclrt)\w*(EventRecord|RecordEvent)")

STREAM_WAIT = frozenset(
    {"cudaStreamWaitEvent", "cuStreamWaitEvent", "hipStreamWaitEvent", "aclrtStreamWaitEvent"}
)

CAPTURE_BEGINS = frozenset(
    {
        "cudaStreamBeginCapture",
        "cudaStreamBeginCaptureToGraph",
        "cuStreamBeginCapture",
        "cuStreamBeginCaptureToGraph",
        "hipStreamBeginCapture",
        "hipStreamBeginCaptureToGraph",
    }
)
CAPTURE_ENDS = frozenset({"cudaStreamEndCapture", "cuStreamEndCapture", "hipStreamEndCapture"})

HOST_FUNCTION = frozenset(
    {
        "cudaLaunchHostFunc",
        "cuLaunchHostFunc",
        "cudaStreamAddCallback",
        "cuStreamAddCallback",
        "hipLaunchHostFunc",
        "hipStreamAddCallback",
        "aclrtLaunchCallback",
    }
)

OUTSIDE_WAIT = re.compile(
    r"(cuStream|hipStream)(WaitValue|BatchMemOp)|(cuda|cu|hip)WaitExternalSemaphores"
)
"""Calls that make a stream wait for a value in memory, or for a semaphore of another API."""

IPC_EVENT = re.compile(r"(cuda|cu|hip)IpcOpenEventHandle")
"""Calls that take an event from another process."""


def named(names: tuple[str, ...], wanted: Callable[[str], object]) -> Bool:
    """Which of a trace's call names are wanted; as a table for `Calls.name`, never empty."""
    return np.array([bool(wanted(name)) for name in names] or [False], np.bool_)


def allocating(calls: Calls, rows: Int64 | slice = slice(None)) -> Bool:
    """Which of these calls, or of all, are cudaMalloc, cudaFree and kin, the virtual-memory calls
    of expandable segments included."""
    return named(calls.names, is_allocating)[calls.name[rows]]


def is_allocating(name: str) -> bool:
    """Whether a call of this name is one of them."""
    return _ALLOCATOR.match(name) is not None


class Waits(Struct, frozen=True, eq=False):
    """Which calls held the host until GPU work ended; arrays have shape (calls,)."""

    held: Bool
    goes_on: Bool
    """Those that go on with the wait of the call before them on their thread: a poll is one wait,
    the time between its queries included."""
    flags: FlagWaits
    """What no call shows: when threads waited for a flag in pinned memory."""

    def starts(self, calls: Calls) -> Int64:
        """When the wait that each call ends began to be this call's, ns: its own start, or the end
        of the call before it. Ascends on each thread."""
        rows = np.flatnonzero(self.goes_on)
        if len(rows) == 0:
            return calls.start
        before = np.maximum(rows - 1, 0)
        same = (rows > 0) & (calls.thread[before] == calls.thread[rows])
        # The call before it may be missing from a part of a trace: then it lies before the part.
        begun = np.where(same, calls.end[before], -MAX_TIME)
        starts = calls.start.copy()
        starts[rows] = np.minimum(begun, starts[rows])
        return starts

    def begun(self, calls: Calls) -> Int64:
        """When the wait that each call is part of began, ns; a call that is part of none itself."""
        starts = self.starts(calls)
        if starts is calls.start:
            return starts
        inner = self.goes_on.copy()
        inner[0] = False
        inner[1:] &= self.held[:-1] & (calls.thread[1:] == calls.thread[:-1])
        return starts[np.maximum.accumulate(np.where(inner, 0, np.arange(len(starts))))]

    def last(self, calls: Calls) -> Bool:
        """The calls at whose end a wait ended: of a poll the last one."""
        ends = self.held.copy()
        ends[:-1] &= ~(self.goes_on[1:] & (calls.thread[1:] == calls.thread[:-1]))
        return ends


_known: WeakKeyDictionary[Trace, Waits] = WeakKeyDictionary()


def synchronizing(trace: Trace) -> Bool:
    """Calls that held the host until GPU work ended; shape (calls,). See `host_waits`."""
    return host_waits(trace).held


def host_waits(trace: Trace) -> Waits:
    """The calls that held the host until GPU work ended.

    Stream, event, device and context synchronise; a device-to-host copy, Async included, whose
    call ends at or after the end of its copy: a pageable copy holds the host without any
    synchronise row; and queries that ask until the work is done (`polling`). A graph's launch is
    none, however early a copy inside the graph ends. Beside the calls, waits for flags
    (`flag_finder`).
    """
    if trace in _known:
        return _known[trace]
    calls, operations = trace.calls, trace.operations
    mask = calls.named(SYNCHRONIZE)
    launch, held = holding_copies(operations, calls)
    mask[launch[held]] = True
    polls = polled(trace)
    mask |= polls.queries
    flags = _flag_waits(trace, mask, polls.goes_on)
    _known[trace] = Waits(mask, polls.goes_on, flags)
    return _known[trace]


def _flag_waits(trace: Trace, held: Bool, goes_on: Bool) -> FlagWaits:
    calls, operations = trace.calls, trace.operations
    copies = launched_to_host(operations.kind, operations.copy_kind, operations.launch)
    if len(copies) == 0 or host_holds_gpu(calls.names):
        return FlagWaits.none()
    table = CallTable(
        calls.start, calls.end, calls.thread, calls.process, calls.name,
        held.__getitem__, goes_on.__getitem__,
    )  # fmt: skip
    finder = FlagFinder(table, len(trace.threads))
    finder.add(operations.launch[copies], operations.end[copies], operations.stream[copies])
    return finder.result()


def know_waits(trace: Trace, waits: Waits) -> None:
    """Say beforehand what `host_waits` would find, for a trace that is part of another."""
    _known[trace] = waits


def host_holds_gpu(names: Sequence[str]) -> bool:
    """Whether work may have waited for the host, by calls of these names: then the end of a copy
    may follow what a thread did, and not the other way round."""
    return any(name in HOST_FUNCTION or OUTSIDE_WAIT.match(name) for name in names)


def copied_to_host(kind: NDArray[np.int8], copy_kind: NDArray[np.int8]) -> Bool:
    """Which operations are copies to the host."""
    to_host: Bool = (copy_kind == CopyKind.DTOH) | (copy_kind == CopyKind.ATOH)
    to_host &= kind == Kind.MEMCPY
    return to_host


def launched_to_host(kind: NDArray[np.int8], copy_kind: NDArray[np.int8], launch: Int64) -> Int64:
    """Which operations are copies to the host, launched by a call that is known."""
    return np.flatnonzero(copied_to_host(kind, copy_kind) & (launch >= 0))


def managed(copy_kind: NDArray[np.integer]) -> Bool:
    """Which kinds of copies move pages of managed memory."""
    moved: Bool = copy_kind >= CopyKind.MANAGED_HTOD
    moved &= copy_kind <= CopyKind.MANAGED_DTOD
    return moved


def migrations(operations: Operations, rows: Int64 | slice = slice(None)) -> Bool:
    """Which of these operations, or of all, are pages of managed memory that moved because they
    were touched: no call asked for them."""
    moved = managed(operations.copy_kind[rows])
    moved &= (operations.kind[rows] == Kind.MEMCPY) & (operations.launch[rows] < 0)
    return moved


def holding_copies(operations: Operations, calls: Calls) -> tuple[Int64, Bool]:
    """Calls of device-to-host copies, and which of them ended no earlier than their copy."""
    graphs = calls.named({name for name in calls.names if GRAPH_LAUNCH.match(name)})
    copies = launched_to_host(operations.kind, operations.copy_kind, operations.launch)
    copies = copies[~graphs[operations.launch[copies]]]
    launch = operations.launch[copies]
    return launch, calls.end[launch] >= operations.end[copies]


def thread_rows(calls: Calls, rows: Int64, start: Int64 | None = None) -> ThreadRows:
    """The chosen calls as intervals on their threads; `start`: of all calls, their own if None."""
    begun = calls.start if start is None else start
    return ThreadRows(calls.thread[rows], begun[rows], calls.end[rows])
