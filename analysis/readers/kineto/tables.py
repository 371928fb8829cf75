"""Traces of torch.profiler (Kineto's Chrome JSON, plain or gzipped) as a `Trace`.

The rows are handed to the reader of nsys exports as if they were its tables, so that every
definition is the same: joins by correlation id, devices, threads, order, dropped rows. CUDA and
ROCm traces differ in the names of the API calls alone. Time 0 is the start of the recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from msgspec.structs import replace

from ...model import schema
from ...model.intervals import Int64
from ...model.nesting import innermost
from ...model.schema import NULL
from ...model.source import OPERATORS_DOMAIN, PROFILER_STEP_NAME, TORCH_PROFILER
from ...model.trace import Trace
from ..errors import NotATrace
from ..join import read_tables
from ..sqlite.database import Columns, Database
from .accelerators import accelerator_of
from .merged import callers_of, plain_pids, rank_of
from .rows import WILD, Rows, Table
from .stream import EventStream

_VM = 1 << 48
_ID_LIMIT = 1 << 24
_CALLS_LOOKED_AT = 1000
"""Names of calls that are asked whose they are."""
_FAR_NS = 10**9
"""Time before all other rows, beyond their own length, in which 0 is taken for no time."""


def read_kineto(path: Path) -> Trace:
    """Read a torch.profiler trace. Raises TraceError, one line, where it is none or is damaged.

    Memory: the columns that are kept (about 60 bytes a GPU operation or API call, 30 an
    annotation or outermost operator) and a few MiB, whatever the size of the JSON.
    """
    rows = Rows()
    stream = EventStream(path, rows.needed)
    for events in stream:
        rows.take(events)
    kept = (rows.kernels, rows.copies, rows.sets, rows.calls, rows.annotations, rows.operators)
    if not any(len(table) for table in kept):
        found = ", ".join(sorted(rows.categories)[:5]) or "none"
        raise NotATrace(
            f"{path} holds no GPU operation, no CUDA or HIP call and no annotation "
            f"({stream.count} events, categories: {found}): no torch.profiler trace",
            remedy="give a trace written by torch.profiler's export_chrome_trace()",
        )
    tables = _Tables(path, rows, stream.metadata)
    trace = read_tables(tables)
    # A merged file has the head of one of its ranks.
    rank = _rank(stream.metadata) if len(rows.ranks) < 3 else ""
    label = trace.source.label
    if rank and not trace.source.manifest.get("label"):
        label = f"{label} ({rank})"
    source = replace(trace.source, label=label)
    if rank and source.rank is None:
        number = stream.metadata["distributedInfo"]["rank"]
        source = replace(source, rank=number, rank_from="distributedInfo")
    return replace(trace, path=path, source=source)


class _Tables(Database):
    """Kineto's rows under the names of nsys's tables and columns."""

    def __init__(self, path: Path, rows: Rows, metadata: Mapping[str, Any]) -> None:
        # No connection: everything that the reader asks for is answered from the rows.
        self.path, self.shown = _manifest_place(path), path
        self.layout = {}
        self._rows = rows
        self._zero, self._no_zero = _clock(rows)
        self._threads = _global_ids(rows)
        self._metadata = metadata
        self._stem = path.name.removesuffix(".gz").removesuffix(".json").removesuffix(".pt.trace")

    def has(self, table: schema.Table) -> bool:
        return len(self.read(table)[table.columns[0].name]) > 0

    def read_all(self, tables: tuple[schema.Table, ...]) -> list[Columns]:
        return [self.read(table) for table in tables]

    def read(self, table: schema.Table) -> Columns:
        """The rows of one table; its `where` clause is the SQL reader's own, not needed here."""
        columns = self._filled(table)
        count = max((len(column) for column in columns.values()), default=0)
        for column in table.columns:
            if column.name in columns:
                continue
            if column.text:
                columns[column.name] = [column.absent or ""] * count
            else:
                value = NULL if column.absent is None else column.absent
                columns[column.name] = np.full(count, value, np.int64)
        return columns

    def _filled(self, table: schema.Table) -> Columns:
        rows = self._rows
        if table is schema.KERNEL:
            return self._gpu(rows.kernels) | {"shortName": rows.kernels["name"]}
        if table is schema.MEMCPY:
            copies = rows.copies
            return self._gpu(copies) | {
                "copyKind": copies["kind"],
                "srcDeviceId": copies["source"],
                "dstDeviceId": copies["target"],
            }
        if table is schema.MEMSET:
            return self._gpu(rows.sets)
        if table is schema.SYNCHRONIZATION:
            return self._gpu(rows.syncs) | {"syncType": rows.syncs["type"]}
        if table is schema.RUNTIME:
            return self._host(rows.calls) | {
                "correlationId": rows.calls["correlation"],
                "nameId": rows.calls["name"],
            }
        if table is schema.NVTX:
            return self._ranges()
        if table is schema.CUPTI_OVERHEAD:
            return self._overheads() | {"nameId": rows.overheads["name"]}
        return self._description(table)

    def _description(self, table: schema.Table) -> Columns:
        """The small tables, about the file and the machine."""
        rows = self._rows
        if table is schema.STRINGS:
            texts = rows.names.ids
            return {"id": np.array(list(texts.values()), np.int64), "value": list(texts)}
        if table is schema.THREAD_NAMES:
            named = [(k, rows.thread_names.get(key)) for key, k in rows.threads.items()]
            known = [(k, name) for k, name in named if name]
            return {
                "globalTid": self._threads[[k for k, _ in known]],
                "nameId": np.array([rows.names.ids[name] for _, name in known], np.int64),
            }
        if table is schema.GPU:
            names = self._named_gpus()
            own = {gpu: names.get(ordinal, "") for gpu, ordinal, _ in self._gpus_of_ranks}
            described = names | own
            ids = np.array(list(described), np.int64)
            return {"id": ids, "cuDevice": ids, "name": list(described.values())}
        if table is schema.CUDA_DEVICE:
            gpu, ordinal, pid = np.array(self._gpus_of_ranks, np.int64).reshape(-1, 3).T
            return {"gpuId": gpu, "cudaId": ordinal, "pid": pid}
        if table is schema.EXPORT:
            meta = {
                "EXPORT_PRODUCT_NAME": TORCH_PROFILER,
                "EXPORT_SCHEMA_VERSION": f"Kineto {self._metadata.get('schemaVersion', '?')}",
                "HARNESS_STRATEGY": self._stem,
                "HARNESS_ACCELERATOR": self._accelerator,
            }
            return {"name": list(meta), "value": list(meta.values())}
        if table is schema.SESSION:
            base = self._metadata.get("baseTimeNanoseconds")
            start = self._zero + (base if isinstance(base, int) and abs(base) < WILD else 0)
            # Without a base, old files count from the epoch; anything else is no wall clock.
            return {"utcEpochNs": np.array([start] if start > 10**18 else [], np.int64)}
        if table is schema.ANALYSIS and self._rows.last not in (NULL, WILD):
            return {"duration": np.array([self._rows.last - self._zero], np.int64)}
        return {}

    def _times(self, start: Int64, end: Int64) -> Columns:
        """On the trace's clock; NULL where there is none."""
        none = (start == NULL) | ((start == 0) & self._no_zero)
        start = np.where(none, NULL, start - self._zero)
        return {"start": start, "end": np.where(none | (end == NULL), NULL, end - self._zero)}

    def _gpu(self, table: Table) -> Columns:
        correlation = table["correlation"]
        return {
            **self._times(table["start"], table["end"]),
            "deviceId": table["device"],
            "streamId": table["stream"],
            "correlationId": correlation,
            "globalPid": self._process_of(correlation, table["rank"]),
        }

    def _host(self, table: Table) -> Columns:
        return {
            **self._times(table["start"], table["end"]),
            "globalTid": self._threads[table["thread"]],
        }

    def _overheads(self) -> Columns:
        """Those that name no thread are said to be of none."""
        table = self._rows.overheads
        named = table["thread"] >= 0
        tids = np.full(len(named), NULL, np.int64)
        tids[named] = self._threads[table["thread"][named]]
        return {
            **self._times(table["start"], table["end"]),
            "globalTid": tids,
        }

    def _ranges(self) -> Columns:
        notes, operators = self._rows.annotations, self._rows.operators
        chosen = _worth_naming(self._rows)
        columns = {
            name: np.concatenate((notes[name], operators[name][chosen]))
            for name in ("start", "end", "thread", "name")
        }
        domain = np.zeros(len(columns["start"]), np.int64)
        domain[len(notes) :] = OPERATORS_DOMAIN
        push_pop = np.full(len(domain), 59, np.int64)
        return {
            **self._times(columns["start"], columns["end"]),
            "globalTid": self._threads[columns["thread"]],
            "textId": columns["name"],
            "domainId": domain,
            "eventType": push_pop,
            "text": [""] * len(domain),
        }

    def _process_of(self, correlation: Int64, rank: Int64) -> Int64:
        """globalPid of GPU rows, which name a device only: the process that made their call."""
        calls = self._rows.calls
        owner = self._threads[calls["thread"]] & schema.PID_MASK
        notes = self._threads[self._rows.annotations["thread"]] & schema.PID_MASK
        nobody = notes[0] if len(notes) else _VM
        ranks = np.unique(rank)
        if len(ranks) < 2:
            return callers_of(correlation, calls["correlation"], owner, nobody)
        result = np.empty(len(rank), np.int64)
        theirs = _ranks_of_threads(self._rows)[calls["thread"]]
        for one in ranks.tolist():
            rows, mine = rank == one, theirs == one
            if not mine.any():
                mine[:] = True
            result[rows] = callers_of(
                correlation[rows], calls["correlation"][mine], owner[mine], nobody
            )
        return result

    @property
    def _accelerator(self) -> str:
        rows, texts = self._rows, list(self._rows.names.ids)
        called = np.unique(rows.calls["name"])[:_CALLS_LOOKED_AT].tolist()
        names = _gpus(self._metadata).values()
        return accelerator_of(rows.categories, (texts[k - 1] for k in called), names)

    def _named_gpus(self) -> dict[int, str]:
        """Names of GPUs by the numbers that rows call them by.

        ROCm's rows count a machine's CPUs too, and `deviceProperties` does not: GPUs that are not
        described there have the name that all described ones share.
        """
        described = _gpus(self._metadata)
        common = set(described.values())
        tables = (self._rows.kernels, self._rows.copies, self._rows.sets)
        seen = np.unique(np.concatenate([table["device"] for table in tables])).tolist()
        if self._accelerator == "HIP" and len(common) == 1:
            name = common.pop() or "AMD GPU"
            return dict.fromkeys((*described, *seen), name)
        return described

    @cached_property
    def _gpus_of_ranks(self) -> list[tuple[int, int, int]]:
        """(GPU id, ordinal, pid) of each rank's GPUs, where ranks mean several by one ordinal."""
        found = set()
        for table in (self._rows.kernels, self._rows.copies, self._rows.sets):
            rank = table["rank"]
            process = self._process_of(table["correlation"], rank)
            found |= set(
                zip(rank.tolist(), table["device"].tolist(), process.tolist(), strict=True)
            )
        users = sorted({(rank, device) for rank, device, _ in found})
        if len({device for _, device in users}) == len(users):
            return []
        return [(users.index((r, d)), d, schema.pid_of(pid)) for r, d, pid in sorted(found)]


def _clock(rows: Rows) -> tuple[int, bool]:
    """(start of the recording on the file's clock, whether 0 is no time on it).

    The start is the profiler's own, else that of the first row. CUPTI gives 0 where it has no time,
    and Kineto where a time lies before its base: far from all other rows 0 is no time.
    """
    tables = (rows.kernels, rows.copies, rows.sets, rows.calls, rows.annotations, rows.operators)
    starts = np.concatenate([table["start"] for table in tables])
    known = starts[(starts != NULL) & (np.abs(starts) < WILD)]
    others = known[known != 0]
    if len(others) < len(known) and len(others):
        low, high = int(others.min()), int(others.max())
        if low > high - low + _FAR_NS:
            return (rows.first if 0 < rows.first < WILD else low), True
    if rows.first != WILD:
        return rows.first, False
    return int(known.min()) if len(known) else 0, False


def _ranks_of_threads(rows: Rows) -> Int64:
    """Code of the rank that each thread is of, as `Rows.ranks` has it; shape (threads,)."""
    return np.array([rows.ranks.get(rank_of(pid)[0], -1) for pid, _ in rows.threads], np.int64)


def _global_ids(rows: Rows) -> Int64:
    """globalTid of each thread, shape (threads,); ids that do not fit 24 bits get a free one."""
    for key in rows.threads:
        rank = rank_of(key[0])[0]
        if name := f"{rank} {rows.thread_names.get(key, '')}".strip():
            rows.thread_names[key] = name
            rows.names(name)
    pids = _fitted(plain_pids([pid for pid, _ in rows.threads]))
    tids = _fitted([tid for _, tid in rows.threads])
    return np.array([_VM | p << 24 | t for p, t in zip(pids, tids, strict=True)], np.int64)


def _fitted(values: list[object]) -> list[int]:
    fits = {v for v in values if isinstance(v, int) and 0 <= v < _ID_LIMIT}
    others = list(dict.fromkeys(value for value in values if value not in fits))
    spare = (number for number in range(_ID_LIMIT - 1, 0, -1) if number not in fits)
    given = dict(zip(others, sorted(islice(spare, len(others))), strict=True))
    # A float may equal an id that fits: 7.0 is in {7}.
    return [int(value) if value in fits else given[value] for value in values]


def _worth_naming(rows: Rows) -> Int64:
    """Operators that are outermost on their thread and inside no annotation but a step.

    They name host time that nobody annotated (`aten::item`, `aten::linear`); where the user has
    named it, the user's name stands, as it does in an nsys trace.
    """
    operators, notes = rows.operators, rows.annotations
    thread, start, end = (operators[name] for name in ("thread", "start", "end"))
    steps = {number for text, number in rows.names.ids.items() if PROFILER_STEP_NAME.search(text)}
    is_step = np.isin(notes["name"], np.array(sorted(steps), np.int64))
    columns = {name: notes[name] for name in ("thread", "start", "end")}
    kept = []
    distinct = np.unique(thread)
    groups = zip(_rows_of(thread, distinct), _rows_of(columns["thread"], distinct), strict=True)
    for rows_here, notes_here in groups:
        mine = rows_here[np.lexsort((-end[rows_here], start[rows_here]))]
        reach = np.maximum.accumulate(end[mine])
        outer = np.ones(len(mine), np.bool_)
        outer[1:] = end[mine[1:]] > reach[:-1]
        mine = mine[outer]
        order = np.lexsort((-columns["end"][notes_here], columns["start"][notes_here]))
        own = notes_here[order]
        stretches, owner = innermost(columns["start"][own], columns["end"][own])
        at = np.searchsorted(stretches.start, start[mine], side="right") - 1
        inside = at >= 0
        inside[inside] = stretches.end[at[inside]] > start[mine[inside]]
        named = inside.copy()
        named[inside] = ~is_step[own[owner[at[inside]]]]
        kept.append(mine[~named])
    return np.sort(np.concatenate(kept)) if kept else np.empty(0, np.int64)


def _rows_of(column: Int64, values: Int64) -> list[Int64]:
    """The rows that hold each of some sorted values; one sort for all of them."""
    order = np.argsort(column, kind="stable")
    low, high = (np.searchsorted(column[order], values, side=side) for side in _SIDES)
    return [order[a:b] for a, b in zip(low.tolist(), high.tolist(), strict=True)]


_SIDES: tuple[Literal["left", "right"], ...] = ("left", "right")


def _gpus(metadata: Mapping[str, Any]) -> dict[int, str]:
    """Names of the devices that `deviceProperties` describes, by their ordinal."""
    found = metadata.get("deviceProperties")
    if not isinstance(found, list):
        return {}
    return {
        gpu["id"]: str(gpu.get("name", ""))
        for gpu in found
        if isinstance(gpu, dict) and isinstance(gpu.get("id"), int) and abs(gpu["id"]) < 2**31
    }


def _rank(metadata: Mapping[str, Any]) -> str:
    """`rank 3 of 8`, empty where the file does not say."""
    found = metadata.get("distributedInfo")
    if not isinstance(found, dict):
        return ""
    rank, world = found.get("rank"), found.get("world_size")
    if not isinstance(rank, int) or isinstance(rank, bool) or rank < 0:
        return ""
    return f"rank {rank}" + (f" of {world}" if isinstance(world, int) else "")


def _manifest_place(path: Path) -> Path:
    """Where the reader looks for a manifest: `x.json` beside `x.json.gz`.

    The manifest of a plain `x.json` would be the trace itself, which the reader knows to skip.
    """
    plain = path.with_name(path.name.removesuffix(".gz").removesuffix(".json") + ".json")
    return plain.with_suffix(".sqlite") if path.name.endswith(".gz") else plain
