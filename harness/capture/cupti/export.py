"""From records and host ranges to a trace in nsys's schema."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from ...analysis.model.evidence import CPU_TABLE, DOMAIN
from ...analysis.writer.writer import TraceBuilder
from .completeness import Completeness, marker_ranges, valid_rows
from .dump import Records
from .names import demangle_all, short_name

_UNKNOWN_MEMORY = 7
_INVALID = 0xFFFFFFFF

_OVERHEAD_NAMES = {
    0: "Unknown",
    1: "Driver JIT compiler",
    1 << 16: "Buffer flush",
    2 << 16: "Instrumentation",
    3 << 16: "Resource creation/destruction",
    4 << 16: "Runtime module loading",
    5 << 16: "Lazy function loading",
    6 << 16: "Command buffer full",
    7 << 16: "Activity buffer request",
    8 << 16: "Unified memory initialisation",
}


def write_trace(
    path: Path, records: Records, host: dict[str, Any], completeness: Completeness
) -> Completeness:
    """Write the SQLite trace; rows without a valid time are left out (they are counted).

    `host` is the target's host.json. Returns `completeness` with the ranges found in the trace.
    Raises TraceError or OSError where the file cannot be written.
    """
    return _Export(records, host, completeness).write(path)


class _Export:
    def __init__(self, records: Records, host: dict[str, Any], found: Completeness) -> None:
        self.records = records
        self.found = found
        self.trace = TraceBuilder(producer="cupti", origin="measured")
        self.process = self.trace.process(int(host["pid"]), _text(host["name"]))
        self.threads: dict[int, int] = {}
        self.rows = {
            name: _sorted(records.table(name)[valid_rows(records, name)])
            for name in ("kernel", "memcpy", "memset", "graph", "api", "sync", "overhead")
        }
        starts = [int(rows["start"][0]) for rows in self.rows.values() if len(rows)]
        self.zero = min([records.opened.cupti_ns, *starts])
        self.devices = self._devices_of_contexts()
        for number, name, *_ in host["threads"]:
            self._thread(int(number), _text(name))
        for item in host["devices"]:
            self.trace.device(
                item["cuda_id"], name=item["name"], uuid=item["uuid"], **item["properties"]
            )
        self.ranges = host["ranges"]
        self.evidence = host.get("evidence", [])
        self.domains: dict[str, int] = {}
        self.cpu: list[tuple[int, int, int, int, int]] = []

    def write(self, path: Path) -> Completeness:
        """Fill in every table and write."""
        self._kernels()
        self._copies()
        self._memsets()
        self._graphs()
        self._calls()
        self._waits()
        self._overheads()
        self.found = dataclasses.replace(self.found, ranges_found=self._ranges())
        self._evidence()
        self._cpu_times()
        trace, records = self.trace, self.records
        trace.session_start(self.zero - self.found.clock_shift_ns)
        ends = [int(rows["end"].max()) for rows in self.rows.values() if len(rows)]
        trace.duration(max([records.closed.cupti_ns, *ends]) - self.zero)
        trace.metadata("CAPTURE_ROAD", records.road)
        trace.metadata("CAPTURE_LIBCUPTI_VERSION", str(records.library_version))
        trace.metadata("CAPTURE_COMPLETENESS", json.dumps(self.found.to_dict()))
        missing = self.found.sentence()
        if missing:
            trace.diagnostic(0, missing, severity=2, process=self.process)
        trace.write(path)
        return self.found

    def _thread(self, number: int, name: str | None = None) -> int:
        if number not in self.threads:
            self.threads[number] = self.trace.thread(self.process, number & 0xFFFFFF, name)
        return self.threads[number]

    def _global_tids(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        numbers, index = np.unique(rows["thread"], return_inverse=True)
        made = np.array([self._thread(int(number)) for number in numbers], np.int64)
        return made[index] if len(made) else np.empty(0, np.int64)

    def _times(self, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {"start": rows["start"] - self.zero, "end": rows["end"] - self.zero}

    def _operation(self, rows: np.ndarray[Any, Any]) -> dict[str, Any]:
        return {
            **self._times(rows),
            "deviceId": rows["device"],
            "contextId": rows["context"],
            "streamId": rows["stream"],
            "correlationId": rows["correlation"],
            "globalPid": self.process,
        }

    def _kernels(self) -> None:
        rows = self.rows["kernel"]
        if not len(rows):
            return
        used, index = np.unique(rows["name"], return_inverse=True)
        mangled = [self.records.strings[number] for number in used]
        plain = demangle_all(mangled)
        ids = {
            "mangledName": [self.trace.string(name) for name in mangled],
            "demangledName": [self.trace.string(plain[name]) for name in mangled],
            "shortName": [self.trace.string(short_name(plain[name])) for name in mangled],
        }
        names = {column: np.array(numbers, np.int64)[index] for column, numbers in ids.items()}
        sizes = {
            f"{what}{axis}": rows[what][:, number]
            for what in ("grid", "block", "cluster")
            for number, axis in enumerate("XYZ")
        }
        self.trace.bulk(
            "CUPTI_ACTIVITY_KIND_KERNEL",
            **self._operation(rows),
            **names,
            **sizes,
            launchType=rows["launch_type"],
            registersPerThread=rows["registers"],
            staticSharedMemory=rows["static_shared"],
            dynamicSharedMemory=rows["dynamic_shared"],
            sharedMemoryExecuted=rows["shared_executed"],
            localMemoryPerThread=rows["local_per_thread"],
            localMemoryTotal=rows["local_total"].astype(np.int64),
            gridId=rows["grid_id"],
            graphNodeId=_optional(rows["graph_node"]),
            graphId=_optional(rows["graph_id"]),
        )

    def _copies(self) -> None:
        rows = self.rows["memcpy"]
        if not len(rows):
            return
        peer = rows["peer"] == 1
        nothing: Any = None
        ends = {
            column: np.where(peer, rows[field].astype(object), nothing).tolist()
            for column, field in (
                ("srcDeviceId", "src_device"),
                ("srcContextId", "src_context"),
                ("dstDeviceId", "dst_device"),
                ("dstContextId", "dst_context"),
            )
        }
        self.trace.bulk(
            "CUPTI_ACTIVITY_KIND_MEMCPY",
            **self._operation(rows),
            **ends,
            bytes=rows["bytes"].astype(np.int64),
            copyKind=rows["copy_kind"],
            srcKind=_memory(rows["src_kind"]),
            dstKind=_memory(rows["dst_kind"]),
            graphNodeId=_optional(rows["graph_node"]),
            copyCount=1,
        )

    def _memsets(self) -> None:
        rows = self.rows["memset"]
        if len(rows):
            self.trace.bulk(
                "CUPTI_ACTIVITY_KIND_MEMSET",
                **self._operation(rows),
                value=rows["value"],
                bytes=rows["bytes"].astype(np.int64),
                memKind=_memory(rows["memory_kind"]),
                graphNodeId=_optional(rows["graph_node"]),
            )

    def _graphs(self) -> None:
        rows = self.rows["graph"]
        if len(rows):
            self.trace.bulk(
                "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
                **self._operation(rows),
                graphId=rows["graph_id"],
                graphExecId=rows["graph_id"],
            )

    def _calls(self) -> None:
        rows = self.rows["api"]
        if not len(rows):
            return
        used, index = np.unique(rows["name"], return_inverse=True)
        names = np.array([self.trace.string(self.records.strings[n]) for n in used], np.int64)
        self.trace.bulk(
            "CUPTI_ACTIVITY_KIND_RUNTIME",
            **self._times(rows),
            eventClass=rows["driver"],
            globalTid=self._global_tids(rows),
            correlationId=rows["correlation"],
            nameId=names[index],
            returnValue=rows["result"],
        )

    def _waits(self) -> None:
        rows = self.rows["sync"]
        if len(rows):
            self.trace.bulk(
                "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
                **self._times(rows),
                deviceId=[self.devices.get(int(context), 0) for context in rows["context"]],
                contextId=rows["context"],
                streamId=rows["stream"],
                correlationId=rows["correlation"],
                globalPid=self.process,
                syncType=rows["type"],
                eventId=rows["event"],
                eventSyncId=_INVALID,
            )

    def _overheads(self) -> None:
        for row in self.rows["overhead"]:
            kind = int(row["kind"])
            self.trace.cuda_overhead(
                int(row["start"]) - self.zero,
                int(row["end"]) - self.zero,
                _OVERHEAD_NAMES.get(kind, f"Overhead {kind}"),
                thread=self._thread(int(row["thread"])),
                kind=kind // 65536 + 2 if kind >= 65536 else kind + 1,
                correlation=int(row["correlation"]) or None,
            )

    def _ranges(self) -> int:
        """The target's own ranges, then those that only NVTX saw (compiled code, torch's C++).

        Returns how many of the target's own are in the trace with both ends.
        """
        shift, closed = self.found.clock_shift_ns, self.records.closed.cupti_ns
        own: set[str] = set()
        whole = 0
        for row in sorted(self.ranges, key=lambda row: row[2]):
            name, domain, start, end, thread, kind, *cpu = row
            begun, ended = start + shift, end + shift
            if not self.records.opened.cupti_ns <= begun <= closed:
                continue
            own.add(name)
            times = (begun, ended if ended <= closed else None)
            whole += times[1] is not None
            where = None if domain is None else _text(domain)
            self._range(_text(name), where, times, thread, kind)
            if times[1] is not None:
                self._ran((begun, ended), thread, cpu)
        for name, domain, start, end, thread in marker_ranges(self.records):
            if name not in own and self.zero <= start and end <= closed:
                self._range(name, domain or None, (start, end), thread, 59)
        return whole

    def _evidence(self) -> None:
        """What the target's process did besides; what the window cuts ends at the window's edge."""
        shift = self.found.clock_shift_ns
        opened, closed = self.records.opened.cupti_ns, self.records.closed.cupti_ns
        for name, start, end, thread, *cpu in sorted(self.evidence, key=lambda row: row[1]):
            times = begun, ended = max(start + shift, opened), min(end + shift, closed)
            if begun < ended:
                self._range(_text(name), DOMAIN, times, thread, 59)
                if ended - begun == end - start:
                    self._ran(times, thread, cpu)

    def _ran(self, times: tuple[int, int], thread: int, cpu: list[int | None]) -> None:
        """The thread's CPU clock at both ends of a range, where it was read."""
        first, last = cpu or (None, None)
        if first is not None and last is not None:
            start, end = (time - self.zero for time in times)
            self.cpu.append((start, end, self._thread(thread), first, last))

    def _cpu_times(self) -> None:
        if self.cpu:
            start, end, tid, first, last = np.array(self.cpu, np.int64).T
            self.trace.bulk(
                CPU_TABLE, start=start, end=end, globalTid=tid, cpuStart=first, cpuEnd=last
            )

    def _range(
        self,
        name: str,
        domain: str | None,
        times: tuple[int, int | None],
        thread: int,
        kind: int,
    ) -> None:
        tid = self._thread(thread)
        number = 0
        if domain is not None:
            if domain not in self.domains:
                self.domains[domain] = len(self.domains) + 1
                self.trace.domain(self.domains[domain], domain, thread=tid)
            number = self.domains[domain]
        start, end = times
        self.trace.nvtx(
            start - self.zero,
            None if end is None else end - self.zero,
            name,
            thread=tid,
            domain=number,
            start_end=kind == 60,
        )

    def _devices_of_contexts(self) -> dict[int, int]:
        found: dict[int, int] = {}
        for name in ("kernel", "memcpy", "memset", "context"):
            rows = self.records.table(name)
            pairs = np.unique(np.stack([rows["context"], rows["device"]], axis=1), axis=0)
            found |= {int(context): int(device) for context, device in pairs}
        return found


def _text(name: object) -> str:
    """`name` where SQLite takes it; a byte that is no UTF-8 (of a file's name) as `\\udcff`."""
    return str(name).encode("utf-8", "backslashreplace").decode()


def _sorted(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return rows[np.argsort(rows["start"], kind="stable")]


def _optional(values: np.ndarray[Any, Any]) -> list[int | None]:
    """0 is libcupti's word for none."""
    return [value or None for value in values.tolist()]


def _memory(kinds: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """CUpti_ActivityMemoryKind (1 pageable, ...) to nsys's ENUM_CUDA_MEM_KIND (0 pageable, ...)."""
    return np.where(kinds == 0, _UNKNOWN_MEMORY, kinds.astype(np.int64) - 1)
