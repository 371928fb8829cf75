"""What nsys calls its tables and columns, from 2022.4 (schema 3.0) to 2026.4 (schema 3.28).

A table or column that comes and goes between versions is declared here, once, with its other
names and the value that stands in where it is absent. Nothing else in the package asks which
version wrote a file.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

from msgspec import Struct

Columns = dict[str, Any]
"""Column name to int64 array of shape (rows,), or list of str for text columns."""

NULL = -(2**63)
"""Stands for SQL NULL in an int64 column."""

MAX_TIME = 2**60
"""Times beyond this (36 years) are not timestamps; sums of two still fit int64."""


class Column(Struct, frozen=True):
    """One column to read: its name, other names in other versions, the stand-in where absent."""

    name: str
    others: tuple[str, ...] = ()
    absent: int | str | None = None
    """None: the table cannot be used without this column."""

    text: bool = False

    def stored(self, present: tuple[str, ...]) -> str | None:
        """The name under which a table with these columns has it, if it does."""
        return next((name for name in (self.name, *self.others) if name in present), None)


class Table(Struct, frozen=True):
    """One table to read. Tables are lazy: nsys leaves out those without rows."""

    name: str
    columns: tuple[Column, ...]
    where: str = ""
    """A condition in SQL that rows must meet."""
    among: tuple[str, tuple[int, ...]] | None = None
    """A column of `columns` and the values that rows may have in it."""
    others: tuple[str, ...] = ()
    optional: bool = False
    """Without a needed column the table counts as absent, instead of the file as unreadable."""

    def condition(self) -> str:
        """`where` and `among` in SQL; 1 where neither is given."""
        parts = [f"({self.where})"] if self.where else []
        if self.among:
            name, values = self.among
            parts.append(f'"{name}" IN ({", ".join(map(str, values))})')
        return " AND ".join(parts) or "1"


def _columns(*names: str) -> tuple[Column, ...]:
    return tuple(Column(name) for name in names)


_CONTEXT = (Column("contextId", absent=NULL), Column("greenContextId", absent=NULL))

_OPERATION = (
    *_columns("start", "end", "deviceId", "streamId", "correlationId"),
    Column("globalPid", absent=0),
    *_CONTEXT,
)

NODE = Column("graphNodeId", absent=NULL)
SEQUENCE = "collectiveSequence"
"""No export of nsys has it: PyTorch's number of a collective in its process group."""

KERNEL = Table(
    "CUPTI_ACTIVITY_KIND_KERNEL",
    (*_OPERATION, NODE, Column("shortName", ("demangledName",), absent=NULL)),
)
MEMCPY = Table(
    "CUPTI_ACTIVITY_KIND_MEMCPY",
    (
        *_OPERATION,
        NODE,
        Column("copyKind", absent=0),
        Column("srcDeviceId", absent=NULL),
        Column("dstDeviceId", absent=NULL),
        Column("srcKind", absent=NULL),
        Column("dstKind", absent=NULL),
    ),
)
MEMSET = Table("CUPTI_ACTIVITY_KIND_MEMSET", (*_OPERATION, NODE))
GRAPH_TRACE = Table("CUPTI_ACTIVITY_KIND_GRAPH_TRACE", _OPERATION)
RUNTIME = Table(
    "CUPTI_ACTIVITY_KIND_RUNTIME",
    (
        *_columns("start", "end", "globalTid", "correlationId"),
        Column("nameId", absent=NULL),
        Column("returnValue", absent=0),
    ),
)
SYNCHRONIZATION = Table(
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
    (
        *_columns("start", "end", "streamId", "correlationId"),
        Column("globalPid", absent=0),
        *_CONTEXT,
        Column("syncType", ("deprecatedSyncType",), absent=0),
    ),
)
NVTX = Table(
    "NVTX_EVENTS",
    (
        *_columns("start", "end", "eventType", "globalTid"),
        Column("endGlobalTid", absent=NULL),
        Column("domainId", absent=0),
        Column("textId", absent=NULL),
        Column("text", absent="", text=True),
    ),
    among=("eventType", (59, 60, 70, 71)),
)
PROFILER_OVERHEAD = Table(
    "PROFILER_OVERHEAD", (*_columns("start", "end", "globalTid"), Column("nameId", absent=NULL))
)
CUPTI_OVERHEAD = Table(
    "CUPTI_ACTIVITY_KIND_OVERHEAD",
    (*_columns("start", "end", "globalTid"), Column("nameId", absent=NULL)),
)
HOST_FUNCTION = Table(
    "CUPTI_ACTIVITY_KIND_GRAPH_HOST_NODE_AND_HOST_LAUNCH",
    (*_columns("start", "end", "deviceId"), Column("globalPid", absent=0)),
    optional=True,
)
"""Stretches for which a stream or a graph waited for a host function, in exports since 2026."""
CONTEXT_SWITCH = Table(
    "GPU_CONTEXT_SWITCH_EVENTS",
    (
        *_columns("timestamp", "tag", "contextId", "gpuId"),
        Column("globalPid", absent=NULL),
        Column("seqNo", absent=0),
    ),
    among=("tag", (7, 8)),
    optional=True,
)
"""Of `--gpuctxsw=true`: every process's, also those of other containers. `contextId` is the
hardware's, and `globalPid` may be the host's."""
CUDA_CONTEXT = Table(
    "TARGET_INFO_CUDA_CONTEXT_INFO", _columns("hwId", "processId", "deviceId"), optional=True
)
STRINGS = Table("StringIds", (Column("id"), Column("value", text=True)))
CUDA_DEVICE = Table(
    "TARGET_INFO_CUDA_DEVICE",
    (*_columns("gpuId", "cudaId", "pid"), Column("uuid", absent="", text=True)),
    optional=True,
)
GPU = Table(
    "TARGET_INFO_GPU",
    (
        Column("id"),
        Column("name", absent="", text=True),
        Column("uuid", absent="", text=True),
        Column("cuDevice", absent=NULL),
    ),
    optional=True,
)
THREAD_NAMES = Table("ThreadNames", _columns("nameId", "globalTid"), optional=True)
EXPORT = Table(
    "META_DATA_EXPORT",
    (Column("name", text=True), Column("value", text=True)),
    others=("EXPORT_META_DATA",),
    optional=True,
)
DIAGNOSTIC = Table(
    "DIAGNOSTIC_EVENT",
    (Column("severity"), Column("text", text=True), Column("globalPid", absent=NULL)),
    optional=True,
)
SESSION = Table("TARGET_INFO_SESSION_START_TIME", _columns("utcEpochNs"), optional=True)
SYSTEM_ENV = Table(
    "TARGET_INFO_SYSTEM_ENV",
    (Column("name", text=True), Column("value", text=True)),
    optional=True,
)
ANALYSIS = Table("ANALYSIS_DETAILS", (Column("duration", absent=NULL),))

OPERATIONS = (KERNEL, MEMCPY, MEMSET, GRAPH_TRACE)
"""Tables whose rows are GPU operations; the position is the operation's `kind`."""


class Kind(IntEnum):
    """What a GPU operation is."""

    KERNEL = 0
    MEMCPY = 1
    MEMSET = 2
    GRAPH = 3


class CopyKind(IntEnum):
    """ENUM_CUDA_MEMCPY_OPER, the members that matter here."""

    HTOD = 1
    DTOH = 2
    HTOA = 3
    ATOH = 4
    DTOD = 8
    PTOP = 10
    MANAGED_HTOD = 11
    MANAGED_DTOH = 12
    MANAGED_DTOD = 13


PAGEABLE, PINNED = 0, 1
"""Of ENUM_CUDA_MEM_KIND, what host memory may be."""


class SyncType(IntEnum):
    """ENUM_CUPTI_SYNC_TYPE."""

    EVENT = 1
    STREAM_WAIT_EVENT = 2
    STREAM = 3
    CONTEXT = 4


class Switch(IntEnum):
    """ENUM_GPU_CTX_SWITCH, the members that bound the time for which a context has a GPU."""

    END = 7
    """Its state has been saved."""
    BEGIN = 8
    """Its state begins to be restored."""


class HoldKind(IntEnum):
    """What may keep a device from starting work."""

    HOST_FUNCTION = 0
    CONTEXT = 1


PID_MASK = ~0xFFFFFF
"""globalTid is `<hw:8><vm:8><pid:24><tid:24>`; globalPid is the same with tid 0."""


def pid_of(global_id: int) -> int:
    """Process id inside a globalTid or globalPid."""
    return (global_id >> 24) & 0xFFFFFF


def tid_of(global_tid: int) -> int:
    """Thread id inside a globalTid."""
    return global_tid & 0xFFFFFF


_ENDINGS = frozenset({"ptsz", "ptsr", "ptds", "spt"})
"""Of the ABI, beside the version: streams per thread."""


QUEUE_FULL = frozenset({"Command Buffer Full"})
"""What CUPTI calls the time that a launch waits for room in the queue, among its overheads."""

UNKNOWN_CALL = "unknown"
"""What a call is called whose name the export does not hold."""


def api_name(recorded: str) -> str:
    """CUDA API name without the ABI suffix that nsys records.

    >>> api_name("cudaLaunchKernel_v7000"), api_name("cuMemcpyDtoHAsync_v2_ptsz")
    ('cudaLaunchKernel', 'cuMemcpyDtoHAsync')
    """
    # No expression: one that repeats an ending takes the square of a long name's length.
    end = len(recorded)
    while (at := recorded.rfind("_", 0, end)) >= 0:
        last = recorded[at + 1 : end]
        version = last[:1] == "v" and last[1:].isascii() and last[1:].isdigit()
        if not (version or last in _ENDINGS):
            break
        end = at
    return recorded[:end]
