"""Traces of torch.profiler (Kineto's Chrome JSON, plain or gzipped) as a `Trace`.

The rows are handed to the reader of nsys exports as if they were its tables, so that every
definition is the same: joins by correlation id, devices, threads, order, dropped rows. CUDA and
ROCm traces differ in the names of the API calls alone. Time 0 is the start of the recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from msgspec.structs import replace

from ...model import schema
from ...model.intervals import Int64
from ...model.schema import NULL
from ...model.source import OPERATORS_DOMAIN, TORCH_PROFILER
from ...model.trace import Trace
from ..errors import NotATrace
from ..join import read_tables
from ..sqlite.database import Columns, Database
from .accelerators import accelerator_of
from .clock import VM, clock_of, global_ids, ranks_of_threads
from .columns import WILD, Table
from .merged import callers_of
from .operators import worth_naming
from .rows import Rows
from .stream import EventStream

_CALLS_LOOKED_AT = 1000
"""Names of calls that are asked whose they are."""


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
    stacks = "python_function" in rows.categories
    source = replace(trace.source, label=label, stacks=stacks)
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
        self._zero, self._no_zero = clock_of(rows)
        self._threads = global_ids(rows)
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
            sequence = np.full(len(rows.kernels), NULL, np.int64)
            for row, number in rows.sequences.items():
                sequence[row] = number
            return self._gpu(rows.kernels) | {
                "shortName": rows.kernels["name"],
                schema.SEQUENCE: sequence,
            }
        if table is schema.MEMCPY:
            copies = rows.copies
            return self._gpu(copies) | {
                "copyKind": copies["kind"],
                "srcDeviceId": copies["source"],
                "dstDeviceId": copies["target"],
                "srcKind": copies["source_memory"],
                "dstKind": copies["target_memory"],
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
            names = self._named_gpus
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
                "HARNESS_LABEL": self._stem,
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
            "contextId": table["context"],
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
        chosen = worth_naming(self._rows)
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
        nobody = notes[0] if len(notes) else VM
        ranks = np.unique(rank)
        if len(ranks) < 2:
            return callers_of(correlation, calls["correlation"], owner, nobody)
        result = np.empty(len(rank), np.int64)
        theirs = ranks_of_threads(self._rows)[calls["thread"]]
        for one in ranks.tolist():
            rows, mine = rank == one, theirs == one
            if not mine.any():
                mine[:] = True
            result[rows] = callers_of(
                correlation[rows], calls["correlation"][mine], owner[mine], nobody
            )
        return result

    @cached_property
    def _accelerator(self) -> str:
        rows, texts = self._rows, list(self._rows.names.ids)
        called = np.unique(rows.calls["name"])[:_CALLS_LOOKED_AT].tolist()
        names = _gpus(self._metadata).values()
        return accelerator_of(rows.categories, (texts[k - 1] for k in called), names)

    @cached_property
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
        if len(self._rows.ranks) < 2:
            return []
        found: set[tuple[int, int, int]] = set()
        for table in (self._rows.kernels, self._rows.copies, self._rows.sets):
            rank = table["rank"]
            process = self._process_of(table["correlation"], rank)
            distinct = np.unique(np.stack((rank, table["device"], process)), axis=1)
            found |= set(zip(*distinct.tolist(), strict=True))
        users = sorted({(rank, device) for rank, device, _ in found})
        if len({device for _, device in users}) == len(users):
            return []
        return [(users.index((r, d)), d, schema.pid_of(pid)) for r, d, pid in sorted(found)]


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
