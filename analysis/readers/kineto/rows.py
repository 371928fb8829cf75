"""From torch.profiler's events to rows: whole nanoseconds, ids, one table for each kind of event.

Event shapes follow Kineto's own writers for CUDA (CUPTI) and ROCm (roctracer, rocprofiler-sdk).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from msgspec import Raw

from ...model.schema import NULL
from .accelerators import ASCEND, OPERATIONS
from .columns import WILD, Names, Table, nanoseconds
from .merged import rank_of
from .names import SYNCS, THREAD, copy_kind, kernel_name, memory_kinds, text_of
from .stream import Args, Event

_GPU = ("start", "end", "device", "stream", "correlation", "rank", "context")


class Rows:
    """Everything that is kept of a trace. Times are ns on the file's own clock."""

    def __init__(self) -> None:
        self.names = Names()
        self.kernels = Table(*_GPU, "name")
        self.copies = Table(*_GPU, "kind", "source", "target", "source_memory", "target_memory")
        self.collectives: list[tuple[int, int, int]] = []
        """Kernels of collectives: row, sequence number and External id, NULL where not said."""
        self._sequences: dict[int, int] = {}
        """External id of the operator that began a collective, to its sequence number."""
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
    def needed(self) -> frozenset[str]:
        """The categories of events that are kept."""
        return frozenset(self._handlers)

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

    def _place(self, event: Event) -> tuple[int, int, int, int, int]:
        """Device, stream, correlation id, rank and CUDA context; its own track where `args` do not
        say the first two, NULL for an id or a context that they do not say."""
        args, pid, rank = event.args, event.pid, 0
        if isinstance(pid, str):
            text, pid = rank_of(pid)
            rank = self.ranks.setdefault(text, len(self.ranks))
        if args is None:
            return self._plain(pid), self._plain(event.tid), NULL, rank, NULL
        device, stream, context = bytes(args.device), bytes(args.stream), bytes(args.context)
        return (
            self._integer(device) if device else self._plain(pid),
            self._integer(stream) if stream else self._plain(event.tid),
            self._correlation(args),
            rank,
            self._integer(context) if context else NULL,
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

    @property
    def sequences(self) -> dict[int, int]:
        """Row number of a collective's kernel to the collective's number in its process group.

        PyTorch says it with the operator that began the collective, and may say it with the kernel.
        """
        found = {
            row: self._sequences.get(external, own) if own == NULL else own
            for row, own, external in self.collectives
        }
        return {row: number for row, number in found.items() if number != NULL}

    def _kernel(self, event: Event) -> None:
        args = event.args
        if args is not None and bytes(args.collective):
            row = len(self.kernels)
            self.collectives.append((row, _count(args.sequence), _count(args.external)))
        self.kernels.add.append(
            (*self._span_of(event), *self._place(event), self.names(kernel_name(event)))
        )

    def _task(self, event: Event, args: Args) -> None:
        """A task of an Ascend NPU, as torch_npu writes it: those that wait or mark are no work."""
        self.categories[ASCEND] = self.categories.get(ASCEND, 0) + 1
        if not _NO_WORK.search(text_of(bytes(args.task))):
            stream = self._integer(bytes(args.task_stream) or b"0")
            place = 0, stream, NULL, 0, NULL
            self.kernels.add.append((*self._span_of(event), *place, self.names(event.name)))

    def _copy(self, event: Event) -> None:
        source = target = NULL
        if event.args is not None and bytes(event.args.toDevice):
            source = self._integer(bytes(event.args.fromDevice) or b"-1")
            target = self._integer(bytes(event.args.toDevice))
        more = copy_kind(event.name), source, target, *memory_kinds(event.name)
        self.copies.add.append((*self._span_of(event), *self._place(event), *more))

    def _set(self, event: Event) -> None:
        self.sets.add.append((*self._span_of(event), *self._place(event)))

    def _sync(self, event: Event) -> None:
        kind = SYNCS.get(str(event.name), 0)
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
        args = event.args
        if event.name == "record_param_comms" and args is not None and bytes(args.sequence):
            external = _count(args.external)
            if external != NULL:
                self._sequences[external] = _count(args.sequence)
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
            if (said := THREAD.fullmatch(name)) is not None:
                name = said[1] or ""
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


def _track(event: Event) -> tuple[object, object]:
    """The (pid, tid) of an event; lists and objects, which no profiler writes, by their text."""
    pid, tid = event.pid, event.tid
    if isinstance(pid, list | dict) or isinstance(tid, list | dict):
        return str(pid), str(tid)
    return pid, tid


def _count(text: Raw) -> int:
    """A number that counts something; NULL for what is none."""
    digits = bytes(text).strip(b'"')
    return int(digits) if digits.isdigit() and len(digits) < 10 else NULL
