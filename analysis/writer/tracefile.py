"""What every row of a trace hangs on: processes, threads, devices, strings, and the checks."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ..model.schema import MAX_TIME
from .errors import BadId, BadMetadata, InvalidTimes
from .tables import Columns, TableStore, Value

Origin = Literal["measured", "simulated", "synthetic"]

SCHEMA_VERSION = "3.24.0"
VM = 1 << 48
"""Bits of every global id: hardware 0, virtual machine 1, as nsys writes them on one host."""

_OURS = ("EXPORT_", "HARNESS_")
_INVALID = "pass allow_invalid=True to the builder to write such a row"


class TraceFile:
    """Identity, metadata and validation of one trace; `writer.TraceBuilder` adds the rows.

    Args:
        producer: what made the trace: "builder", "cupti", "sim", ...
        origin: "measured" on hardware, "simulated" by a model, "synthetic" when made up by hand.
        strategy: decode strategy that the trace shows, if any.
        allow_invalid: accept rows that no profiler should write (end before start, negative or
            NULL times, unknown processes): test input for readers.
    """

    def __init__(
        self,
        *,
        producer: str,
        origin: Origin,
        strategy: str | None = None,
        allow_invalid: bool = False,
    ) -> None:
        if origin not in ("measured", "simulated", "synthetic"):
            raise BadMetadata(f"origin is measured, simulated or synthetic, found {origin!r}")
        self.allow_invalid = allow_invalid
        self._store = TableStore(nullable=allow_invalid)
        self._strings: dict[str, int] = {}
        self._processes: dict[int, int] = {}
        self._threads: set[int] = set()
        self._gpus: dict[str, int] = {}
        self._devices: list[tuple[int, int, int | None, str]] = []
        self._correlation = count(1)
        self._ranges = count(1)
        self._switches = count(1)
        self._last = 0
        self._duration: int | None = None
        self._session: int | None = None
        major, minor, micro = SCHEMA_VERSION.split(".")
        self._metadata = [
            ("EXPORT_PRODUCT_NAME", "harness"),
            ("EXPORT_SCHEMA_VERSION", SCHEMA_VERSION),
            ("EXPORT_SCHEMA_VERSION_MAJOR", major),
            ("EXPORT_SCHEMA_VERSION_MINOR", minor),
            ("EXPORT_SCHEMA_VERSION_MICRO", micro),
            ("HARNESS_PRODUCER", producer),
            ("HARNESS_ORIGIN", origin),
        ]
        if strategy is not None:
            self._metadata.append(("HARNESS_STRATEGY", strategy))

    # Who and where

    def process(self, pid: int, name: str = "python") -> int:
        """Register a process; returns its globalPid."""
        global_pid = VM | pid << 24
        if not 0 <= pid < 1 << 24:
            raise BadId(f"pid {pid} does not fit the 24 bits that a global id has for it")
        if global_pid not in self._processes:
            self._processes[global_pid] = pid
            self._store.add("PROCESSES", {"globalPid": global_pid, "pid": pid, "name": name})
        return global_pid

    def thread(self, process: int, tid: int, name: str | None = None) -> int:
        """Register a thread of a registered process; returns its globalTid."""
        self._check_process("ThreadNames", process)
        if not 0 <= tid < 1 << 24:
            raise BadId(f"tid {tid} does not fit the 24 bits that a global id has for it")
        global_tid = process | tid
        self._threads.add(global_tid)
        if name is not None:
            self._store.add(
                "ThreadNames",
                {"nameId": self.string(name), "priority": 20, "globalTid": global_tid},
            )
        return global_tid

    def device(
        self,
        cuda_id: int = 0,
        *,
        name: str,
        uuid: str,
        pid: int | None = None,
        **properties: Value,
    ) -> int:
        """Describe a GPU and the CUDA ordinal under which processes see it; returns its GPU id.

        The same uuid under another ordinal or process is the same GPU. `pid=None` means every
        process of the trace. `properties` are further TARGET_INFO_GPU columns (smCount,
        memoryBandwidth in B/s, totalMemory in B, ...).
        """
        if uuid not in self._gpus:
            taken = set(self._gpus.values())
            free = (n for n in count() if n not in taken)
            gpu_id = cuda_id if cuda_id not in taken else next(free)
            self._gpus[uuid] = gpu_id
            self._store.add(
                "TARGET_INFO_GPU",
                {
                    "vmId": VM,
                    "id": gpu_id,
                    "name": name,
                    "uuid": uuid,
                    "cuDevice": cuda_id,
                    **properties,
                },
            )
        self._devices.append((self._gpus[uuid], cuda_id, pid, uuid))
        return self._gpus[uuid]

    def string(self, text: str) -> int:
        """Id of a text in StringIds, the same for the same text."""
        if text not in self._strings:
            number = len(self._strings) + 1
            self._store.add("StringIds", {"id": number, "value": text})
            self._strings[text] = number
        return self._strings[text]

    def next_correlation(self) -> int:
        """A correlation id that no other call of this builder has handed out."""
        return next(self._correlation)

    def _next_range(self) -> int:
        return next(self._ranges)

    def _next_switch(self) -> int:
        return next(self._switches)

    def context(self, context: int, *, pid: int, hardware: int, device: int = 0) -> None:
        """Describe a CUDA context of a process; `hardware` is its number in context switches."""
        self._store.add(
            "TARGET_INFO_CUDA_CONTEXT_INFO",
            {
                "nullStreamId": 7,
                "hwId": hardware,
                "vmId": 1,
                "processId": pid,
                "deviceId": device,
                "contextId": context,
            },
        )

    # The file

    def session_start(self, utc_epoch_ns: int) -> None:
        """Wall-clock time of the trace's time 0, ns since 1970 UTC."""
        self._session = utc_epoch_ns

    def duration(self, duration_ns: int) -> None:
        """Length of the capture, ns; without it, the latest time of any row."""
        self._duration = duration_ns

    def metadata(self, name: str, value: str) -> None:
        """Add a row to META_DATA_EXPORT; EXPORT_ and HARNESS_ names are the builder's own."""
        if name.startswith(_OURS):
            raise BadMetadata(f"metadata {name} is written by the builder itself")
        self._metadata.append((name, value))

    def bulk(self, table: str, **columns: Columns | Value) -> int:
        """Append many rows at once, one array, sequence or repeated value per column.

        Ids of texts come from `string()`. Times, processes and threads are checked as in the row
        methods. Returns the number of rows.

            trace.bulk("CUPTI_ACTIVITY_KIND_RUNTIME", start=starts, end=ends, globalTid=thread,
                       correlationId=np.arange(n), nameId=trace.string("cudaLaunchKernel_v7000"))
        """
        rows = self._store.bulk(table, columns)
        if not rows:
            return rows
        start, end = (_known(columns.get(name)) for name in ("start", "end"))
        for name, times in (("start", start), ("end", end)):
            if len(times):
                low, high = int(times.min()), int(times.max())
                self._check_time(table, low, name)
                self._check_time(table, high, name)
                self._last = max(self._last, high)
        repeated = any(isinstance(columns.get(name), int) for name in ("start", "end"))
        if (len(start) == len(end) or repeated) and not self.allow_invalid:
            late = np.flatnonzero(end < start)
            if len(late):
                first, last = (times[late[0] if len(times) > 1 else 0] for times in (start, end))
                raise InvalidTimes(
                    f"{table}: row {late[0]} ends at {last}, before its start {first}"
                )
        for name, check in (("globalPid", self._check_process), ("globalTid", self._check_thread)):
            for value in np.unique(_known(columns.get(name))).tolist():
                check(table, value)
        return rows

    def write(self, path: str | Path, *, force: bool = False) -> None:
        """Write the trace; the file appears complete or not at all.

        The same calls give the same bytes. The builder can be added to, and written again.

        Raises:
            TraceError: `path` exists and `force` is not set, or a value fits no column.
            OSError: the folder is missing or cannot be written.
        """
        store = self._store.copy()
        for name, value in self._metadata:
            store.add("META_DATA_EXPORT", {"name": name, "value": value})
        duration = self._last if self._duration is None else self._duration
        store.add(
            "ANALYSIS_DETAILS",
            {"globalVid": VM, "duration": duration, "startTime": 0, "stopTime": duration},
        )
        if self._session is not None:
            wall = datetime.fromtimestamp(self._session // 10**9, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            store.add(
                "TARGET_INFO_SESSION_START_TIME",
                {"utcEpochNs": self._session, "utcTime": wall, "localTime": wall},
            )
        for gpu_id, cuda_id, pid, uuid in self._devices:
            for owner in self._processes.values() if pid is None else (pid,):
                store.add(
                    "TARGET_INFO_CUDA_DEVICE",
                    {"gpuId": gpu_id, "cudaId": cuda_id, "pid": owner, "uuid": uuid},
                )
        store.write(Path(path), force=force)

    # Checks

    def _check_process(self, table: str, process: int) -> None:
        if process not in self._processes and not self.allow_invalid:
            raise BadId(
                f"{table}: {process} is not a registered process",
                remedy="use the globalPid that process() returned",
            )

    def _check_thread(self, table: str, thread: int) -> None:
        if thread not in self._threads and not self.allow_invalid:
            raise BadId(
                f"{table}: {thread} is not a registered thread",
                remedy="use the globalTid that thread() returned",
            )

    def _check_time(self, table: str, time: int, what: str) -> None:
        if not 0 <= time <= MAX_TIME and not self.allow_invalid:
            raise InvalidTimes(f"{table}: {what} {time} lies outside 0..2**60 ns")

    def _check_span(self, table: str, start: int, end: int | None, *, may_be_open: bool) -> None:
        """Validate one row's times and remember the latest."""
        if start is None or (end is None and not may_be_open):
            if not self.allow_invalid:
                raise InvalidTimes(f"{table}: start and end are needed")
            return
        self._check_time(table, start, "start")
        if end is not None:
            self._check_time(table, end, "end")
            if end < start and not self.allow_invalid:
                raise InvalidTimes(f"{table}: end {end} is before start {start}")
        self._last = max(self._last, start, start if end is None else end)


def _known(column: Columns | Value) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The integers of a column without its NULLs, shape (n,)."""
    if column is None:
        return np.empty(0, np.int64)
    if isinstance(column, np.ndarray) and column.dtype.kind in "iu":
        return column.astype(np.int64, copy=False)
    values = [column] if isinstance(column, int | float | str) else list(column)
    return np.array([value for value in values if value is not None], dtype=np.int64)
