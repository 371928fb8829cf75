"""A recorded trace as typed columns: what the rest of the package works on.

A `Trace` is read once, whole, and never changes. Times are int64 nanoseconds on the report's own
clock (zero is the start of collection); intervals are half-open.
"""

from __future__ import annotations

from operator import add
from pathlib import Path
from typing import Self

import numpy as np
from msgspec import Struct
from msgspec.structs import astuple
from numpy.typing import NDArray

from .arrays import Bool, Code
from .intervals import Int64
from .schema import pid_of, tid_of
from .shown import shown_without
from .source import Source


class Strings(Struct, frozen=True):
    """Texts by id: nsys's StringIds, and texts that rows carry themselves under negative ids."""

    values: dict[int, str]

    def __repr__(self) -> str:
        return shown_without(self, "values")

    def __getitem__(self, string_id: int) -> str:
        return self.values.get(int(string_id), "")


class Device(Struct, frozen=True):
    """One physical GPU. `uuid` is empty where the report does not say."""

    index: int
    ordinal: int
    """CUDA's; where several processes mean several GPUs by one ordinal, the report's GPU id."""
    name: str
    uuid: str

    @property
    def label(self) -> str:
        """How a person calls it: `GPU 0 (Tesla T4)`."""
        return f"GPU {self.ordinal}" + (f" ({self.name})" if self.name else "")


class Thread(Struct, frozen=True):
    """One recorded thread. `name` is the system's, as nsys stored it."""

    global_tid: int
    name: str

    @property
    def pid(self) -> int:
        return pid_of(self.global_tid)

    @property
    def tid(self) -> int:
        return tid_of(self.global_tid)

    @property
    def label(self) -> str:
        """How a person tells it apart: `MainThread 4711`."""
        return f"{self.name or 'thread'} {self.tid}"


class Operations(Struct, frozen=True, eq=False):
    """GPU work, sorted by (start, correlationId). Every array has shape (n,)."""

    start: Int64
    end: Int64
    kind: NDArray[np.int8]
    """`schema.Kind`."""
    device: Code
    """Index into `Trace.devices`."""
    process: Code
    """Index into `Trace.processes`."""
    stream: Int64
    """What `streams.stream_of` calls it: the recorder's number, where one context alone has it."""
    correlation: Int64
    name: Int64
    """String id, of kernels only."""
    copy_kind: NDArray[np.int8]
    """ENUM_CUDA_MEMCPY_OPER, of copies only."""
    peer: Bool
    """Copies between two devices."""
    pageable: Bool
    """Copies from or to pageable host memory, where the recorder says so."""
    node: Int64
    """Node of a CUDA graph, as `graphNodeId` has it: the graph's id in the upper half. Negative in
    the body of a conditional node, which runs as often as the GPU decides; 0 outside of graphs."""
    sequence: Code
    """Number of its collective in its process group, as PyTorch counts them; -1 where not said."""
    launch: Int64
    """Index into `Trace.calls` of the launching call, -1 where no row has its correlationId."""

    def __len__(self) -> int:
        return len(self.start)


class Calls(Struct, frozen=True, eq=False):
    """CUDA runtime and driver API calls, sorted by (thread, start). Arrays have shape (n,)."""

    start: Int64
    end: Int64
    thread: Code
    """Index into `Trace.threads`."""
    process: Code
    correlation: Int64
    name: Code
    """Index into `names`."""
    failed: Bool
    """The call returned an error."""
    names: tuple[str, ...]
    """Distinct API names without their ABI suffix."""

    def __len__(self) -> int:
        return len(self.start)

    def named(self, wanted: frozenset[str] | set[str]) -> Bool:
        """Mask of the calls whose name is one of `wanted`."""
        table = np.array([name in wanted for name in self.names], np.bool_)
        return table[self.name] if len(table) else np.zeros(len(self), np.bool_)


class Synchronizations(Struct, frozen=True, eq=False):
    """CUPTI synchronisation records. Arrays have shape (n,)."""

    start: Int64
    end: Int64
    kind: NDArray[np.int8]
    """`schema.SyncType`."""
    process: Code
    stream: Int64
    correlation: Int64
    call: Int64
    """Index into `Trace.calls`, -1 where none matches."""

    def __len__(self) -> int:
        return len(self.start)


class Ranges(Struct, frozen=True, eq=False):
    """NVTX ranges, push/pop and start/end, sorted by (thread, start, -end). Shape (n,)."""

    start: Int64
    end: Int64
    """Never closed ranges end at the last event of the report."""
    thread: Code
    end_thread: Code
    """Thread that closed a start/end range; that of `thread` otherwise."""
    name: Int64
    """String id."""
    domain: Int64
    unclosed: Bool

    def __len__(self) -> int:
        return len(self.start)


EVERY_THREAD = -2
"""The thread of a row that does not say whose it is, and so counts for all."""


class Overheads(Struct, frozen=True, eq=False):
    """What the profiler itself cost, and some waits that CUPTI counts with it. Shape (n,)."""

    start: Int64
    end: Int64
    thread: Code
    """Index into `Trace.threads`, -1 for a thread without any other row, or `EVERY_THREAD`."""
    process: Code
    """Index into `Trace.processes`, -1 for a process without any other row."""
    name: Int64

    def __len__(self) -> int:
        return len(self.start)


class Holds(Struct, frozen=True, eq=False, weakref=True):
    """What may keep a device from starting work, sorted by (kind, device, start). Shape (n,)."""

    start: Int64
    end: Int64
    kind: NDArray[np.int8]
    """`schema.HoldKind`: a host function was waited for, or a context had the device."""
    device: Code
    """Index into `Trace.devices`."""
    process: Code
    """Whose function or context it is: index into `Trace.processes`, -1 for a process without
    operations. A context that several processes share has a row for each."""

    def __len__(self) -> int:
        return len(self.start)


class ThreadRows(Struct, frozen=True, eq=False):
    """Intervals on host threads. Arrays have shape (n,); they may overlap and need no order."""

    thread: Code
    start: Int64
    end: Int64


class _ByReason(Struct, frozen=True):
    """Numbers of rows, one field a reason."""

    @property
    def total(self) -> int:
        return sum(astuple(self))

    def __add__(self, other: Self) -> Self:
        return type(self)(*map(add, astuple(self), astuple(other)))


class Dropped(_ByReason, frozen=True):
    """Rows that could not be used, by reason; the validity report shows them."""

    empty: int = 0
    """`end <= start`."""
    null: int = 0
    """No start or no end."""
    absurd: int = 0
    """A time that no clock gives (beyond 2**60 ns from zero)."""


class Unusable(_ByReason, frozen=True):
    """Rows of the host with impossible times, by reason. One without an end is none: a range that
    was not closed, a call that did not return."""

    reversed: int = 0
    """`end < start`."""
    null: int = 0
    """No start."""
    absurd: int = 0
    """A time that no clock gives, as in `Dropped`."""


class Trace(Struct, frozen=True, eq=False, weakref=True):
    """One report, as `readers.open.open_trace` reads it."""

    path: Path
    source: Source
    strings: Strings
    devices: tuple[Device, ...]
    processes: tuple[int, ...]
    """globalPid of each process that has GPU operations or CUDA calls or ranges."""
    threads: tuple[Thread, ...]
    operations: Operations
    calls: Calls
    synchronizations: Synchronizations
    ranges: Ranges
    overheads: Overheads
    holds: Holds
    dropped: Dropped
    """Of `operations`."""
    ranges_dropped: Unusable
    """None of these is in `ranges`."""
    calls_unusable: Unusable
    """Those with `end < start` are in `calls`, ending where they start: what they launched is
    theirs all the same. The others are not."""
    duplicate_calls: int
    """API rows that repeat a (process, correlationId) already seen."""
    ambiguous_devices: bool
    """Several processes use one ordinal, and nothing says whether it is one physical device."""
    misplaced: int = 0
    """Operations that name another device than nearly all others of their context."""
