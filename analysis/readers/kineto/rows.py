"""From torch.profiler's events to rows: whole nanoseconds, ids, one table for each kind of event.

Event shapes follow Kineto's own writers for CUDA (CUPTI) and ROCm (roctracer, rocprofiler-sdk).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable
from decimal import Decimal, DecimalException

import msgspec
import numpy as np

from ...model.intervals import Int64
from ...model.schema import NULL, SyncType
from .accelerators import ASCEND, OPERATIONS
from .merged import rank_of
from .stream import NO_JSON, Args, Event

WILD = 2**62
"""Stands for a time that no clock gives; it stays beyond `schema.MAX_TIME` from any epoch."""


def nanoseconds(text: bytes) -> int:
    """A JSON number of microseconds as whole nanoseconds, NULL where it is none.

    No float on the way: `4613307516141.939` has more digits than a double keeps.

    >>> nanoseconds(b"4613307516141.939"), nanoseconds(b"7"), nanoseconds(b"1.5")
    (4613307516141939, 7000, 1500)
    """
    whole, dot, decimals = text.partition(b".")
    try:
        if not dot:
            value = int(whole) * 1000
        elif len(decimals) <= 3:
            value = int(whole + decimals.ljust(3, b"0"))
        else:
            return _rounded(text)
    except ValueError:
        return _rounded(text)
    return value if -WILD < value < WILD else WILD


def _rounded(text: bytes) -> int:
    """The slow way: exponents, more than three decimals, numbers inside quotes."""
    try:
        value = Decimal(text.decode("ascii", "replace").strip('"')) * 1000
    except DecimalException:  # no number, or one that no Decimal holds
        return NULL
    if not value.is_finite():
        return NULL
    return int(value.to_integral_value()) if abs(value) < WILD else WILD


class Names:
    """Ids of texts, from 1."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def __call__(self, text: object) -> int:
        name = text if isinstance(text, str) else str(text)
        return self.ids.setdefault(name, len(self.ids) + 1)


class Table:
    """Columns that grow piece by piece, 8 bytes a value."""

    def __init__(self, *columns: str) -> None:
        self.columns = columns
        self.add: list[tuple[int, ...]] = []
        """Rows of the piece at hand."""
        self._pieces: list[Int64] = []
        """Each of shape (columns, rows)."""

    def close_piece(self) -> None:
        """Turn the rows gathered so far into compact columns."""
        if self.add:
            self._pieces.append(np.array(self.add, np.int64).T.copy())
            self.add.clear()

    def __len__(self) -> int:
        return sum(len(piece[0]) for piece in self._pieces) + len(self.add)

    def __getitem__(self, name: str) -> Int64:
        """Shape (rows,)."""
        self.close_piece()
        at = self.columns.index(name)
        if not self._pieces:
            return np.empty(0, np.int64)
        return np.concatenate([piece[at] for piece in self._pieces])


_GPU = ("start", "end", "device", "stream", "correlation", "rank")


class Rows:
    """Everything that is kept of a trace. Times are ns on the file's own clock."""

    def __init__(self) -> None:
        self.names = Names()
        self.kernels = Table(*_GPU, "name")
        self.copies = Table(*_GPU, "kind", "source", "target")
        self.sets = Table(*_GPU)
        self.syncs = Table(*_GPU, "type")
        self.calls = Table("start", "end", "thread", "correlation", "name")
        self.annotations = Table("start", "end", "thread", "name")
        self.operators = Table("start", "end", "thread", "name")
        """Outermost ATen and autograd operators: framework code, as against Python around it."""
        self.overheads = Table("start", "end", "thread", "name")
        self.threads: dict[tuple[object, object], int] = {}
        """(pid, tid) of the file to row number in the `thread` columns."""
        self.thread_names: dict[tuple[object, object], str] = {}
        self.categories: dict[str, int] = {}
        self.first = WILD
        """Start of recording, where the file has it; WILD otherwise."""
        self.last = NULL
        self._reach: dict[tuple[object, object], tuple[int, int]] = {}
        self.ranks: dict[str, int] = {"": 0}
        """What a merger of several ranks' files put before the processes, by its code."""
        self._unreadable: dict[bytes, int] = {}
        self._tables = (
            self.kernels, self.copies, self.sets, self.syncs,
            self.calls, self.annotations, self.operators, self.overheads,
        )  # fmt: skip
        self._handlers: dict[str, Callable[[Event], None]] = {
            **dict.fromkeys(("kernel", "Kernel", *OPERATIONS), self._kernel),
            **dict.fromkeys(("gpu_memcpy", "Memcpy"), self._copy),
            **dict.fromkeys(("gpu_memset", "Memset"), self._set),
            **dict.fromkeys(_CALLS, self._call),
            **dict.fromkeys(("cpu_op", "Operator"), self._operator),
            "cuda_sync": self._sync,
            "user_annotation": self._annotation,
            "overhead": self._overhead,
            "Trace": self._span,
        }

    @property
    def needed(self) -> Container[str]:
        """The categories of events that are kept."""
        return self._handlers.keys()

    def take(self, events: Iterable[Event]) -> None:
        """Keep what matters of one piece of the file."""
        handlers, seen = self._handlers, self.categories
        for event in events:
            category = event.cat
            if not isinstance(category, str) or not category:
                self._other(event)
                continue
            seen[category] = seen.get(category, 0) + 1
            handler = handlers.get(category)
            if handler is not None and event.ph == "X":
                handler(event)
        for table in self._tables:
            table.close_piece()

    def _span_of(self, event: Event) -> tuple[int, int]:
        start = nanoseconds(bytes(event.ts))
        duration = nanoseconds(bytes(event.dur))
        if NULL in (start, duration):
            return start, NULL
        return start, min(start + duration, WILD)

    def _place(self, event: Event) -> tuple[int, int, int, int]:
        """Device, stream, correlation id and rank; its own track where `args` do not say."""
        args, pid, rank = event.args, event.pid, 0
        if isinstance(pid, str):
            text, pid = rank_of(pid)
            rank = self.ranks.setdefault(text, len(self.ranks))
        if args is None:
            return self._plain(pid), self._plain(event.tid), NULL, rank
        device, stream = bytes(args.device), bytes(args.stream)
        return (
            self._integer(device) if device else self._plain(pid),
            self._integer(stream) if stream else self._plain(event.tid),
            self._correlation(args),
            rank,
        )

    def _correlation(self, args: Args) -> int:
        text = bytes(args.correlation)
        if text.isdigit() and len(text) < 19:
            return int(text)
        return self._integer(text) if text and text != b"null" else NULL

    def _integer(self, text: bytes) -> int:
        """A number, decimal or (ROCm's stream pointers) hexadecimal; else an id of the text.

        Ids of what is no number are negative and stay apart from every stream's own.
        """
        try:
            value = int(text)
        except ValueError:
            try:
                value = int(text.strip(b'"'), 0)
            except ValueError:
                return self._unreadable.setdefault(text, -2 - len(self._unreadable))
        if -(2**63) < value < 2**63:
            return value
        return self._unreadable.setdefault(text, -2 - len(self._unreadable))

    def _plain(self, value: object) -> int:
        if isinstance(value, int) and abs(value) < 2**63:
            return value
        return self._integer(str(value).encode())

    def _thread(self, event: Event) -> int:
        key = _track(event)
        found = self.threads.get(key)
        if found is None:
            found = self.threads[key] = len(self.threads)
        return found

    def _kernel(self, event: Event) -> None:
        self.kernels.add.append(
            (*self._span_of(event), *self._place(event), self.names(_kernel_name(event)))
        )

    def _task(self, event: Event, args: Args) -> None:
        """A task of an Ascend NPU, as torch_npu writes it: those that wait or mark are no work."""
        self.categories[ASCEND] = self.categories.get(ASCEND, 0) + 1
        if not _NO_WORK.search(text_of(bytes(args.task))):
            place = 0, self._integer(bytes(args.task_stream) or b"0"), NULL, 0
            self.kernels.add.append((*self._span_of(event), *place, self.names(event.name)))

    def _copy(self, event: Event) -> None:
        source = target = NULL
        if event.args is not None and bytes(event.args.toDevice):
            source = self._integer(bytes(event.args.fromDevice) or b"-1")
            target = self._integer(bytes(event.args.toDevice))
        kind = copy_kind(event.name)
        self.copies.add.append((*self._span_of(event), *self._place(event), kind, source, target))

    def _set(self, event: Event) -> None:
        self.sets.add.append((*self._span_of(event), *self._place(event)))

    def _sync(self, event: Event) -> None:
        kind = _SYNCS.get(str(event.name), 0)
        self.syncs.add.append((*self._span_of(event), *self._place(event), kind))

    def _call(self, event: Event) -> None:
        correlation = NULL if event.args is None else self._correlation(event.args)
        thread, name = self._thread(event), self.names(event.name)
        self.calls.add.append((*self._span_of(event), thread, correlation, name))

    def _annotation(self, event: Event) -> None:
        self.annotations.add.append(
            (*self._span_of(event), self._thread(event), self.names(event.name))
        )

    def _operator(self, event: Event) -> None:
        if str(event.name).startswith("ProfilerStep#"):
            self._annotation(event)  # what PyTorch before 1.12 called an operator too
            return
        key = _track(event)
        start = nanoseconds(bytes(event.ts))
        last, reach = self._reach.get(key, (NULL, NULL))
        if last <= start < reach:
            return  # inside the operator before it: Kineto writes a thread's in order of start
        start, end = self._span_of(event)
        self._reach[key] = (max(last, start), max(reach, end))
        self.operators.add.append((start, end, self._thread(event), self.names(event.name)))

    def _overhead(self, event: Event) -> None:
        # CUPTI's own work stands on pid -1, which is no process: whose time it took is not said.
        thread = -1 if event.pid == -1 else self._thread(event)
        self.overheads.add.append((*self._span_of(event), thread, self.names(event.name)))

    def _span(self, event: Event) -> None:
        start, end = self._span_of(event)
        if NULL not in (start, end):
            self.first, self.last = min(self.first, start), max(self.last, end)

    def _other(self, event: Event) -> None:
        if event.ph == "i" and event.name == "Record Window End":
            end = nanoseconds(bytes(event.ts))
            self.last = max(self.last, end if end < WILD else NULL)
        elif event.ph == "X" and event.args is not None and bytes(event.args.task):
            self._task(event, event.args)
        elif event.ph == "M" and event.name == "thread_name" and event.args is not None:
            name = text_of(bytes(event.args.name))
            if name:
                self.thread_names[_track(event)] = name


_NO_WORK = re.compile(r"EVENT|NOTIFY|RECORD|WAIT|PROFILER|PLACE_HOLDER")
_CALLS = (
    "cuda_runtime",
    "cuda_driver",
    "Runtime",
    "hip_runtime",
    "xpu_runtime",
    "xpu_driver",
    "privateuse1_runtime",
    "privateuse1_driver",
    "mtia_runtime",
)

_SYNCS = {
    "Event Sync": SyncType.EVENT,
    "Stream Wait Event": SyncType.STREAM_WAIT_EVENT,
    "Stream Sync": SyncType.STREAM,
    "Context Sync": SyncType.CONTEXT,
}

_KINDS = {
    "HtoD": 1, "DtoH": 2, "HtoA": 3, "AtoH": 4, "AtoA": 5, "AtoD": 6, "DtoA": 7, "DtoD": 8,
    "HtoH": 9, "PtoP": 10,
}  # fmt: skip
_WORDS = re.compile(r"Copy(Host|Device|Peer)To(Host|Device|Peer)")
_LETTERS = re.compile(r"\b([HDAP]to[HDAP])\b")


def _kernel_name(event: Event) -> object:
    """A kernel's name; that of a collective with what it is and among whom, as PyTorch said.

    Names of NCCL's kernels alone tell neither: `ncclDevKernel_Generic` is any of them.
    """
    args = event.args
    if args is None or not bytes(args.collective):
        return event.name
    group = text_of(bytes(args.group))
    if not group or group == "undefined":
        group = text_of(bytes(args.group_name))
    said = ", ".join(filter(None, (text_of(bytes(args.collective)), group)))
    return f"{event.name} [{said}]" if said else event.name


def _track(event: Event) -> tuple[object, object]:
    """The (pid, tid) of an event; lists and objects, which no profiler writes, by their text."""
    pid, tid = event.pid, event.tid
    if isinstance(pid, list | dict) or isinstance(tid, list | dict):
        return str(pid), str(tid)
    return pid, tid


def copy_kind(name: object) -> int:
    """ENUM_CUDA_MEMCPY_OPER from `Memcpy DtoH (Device -> Pinned)` or `CopyDeviceToHost`; 0 unknown.

    >>> copy_kind("Memcpy DtoH (Device -> Pageable)"), copy_kind("CopyHostToDevice")
    (2, 1)
    """
    text = str(name)
    letters = _LETTERS.search(text)
    if letters:
        return _KINDS.get(letters.group(1), 0)
    words = _WORDS.search(text)
    return _KINDS.get(f"{words.group(1)[0]}to{words.group(2)[0]}", 0) if words else 0


def text_of(text: bytes) -> str:
    """A JSON string's value; empty for anything else."""
    try:
        value = msgspec.json.decode(text)
    except NO_JSON:
        return ""
    return value if isinstance(value, str) else ""
