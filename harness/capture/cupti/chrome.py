"""Read torch.profiler's chrome trace, recorded with CUDA activities alone, into the same records.

Times in the file are microseconds with three decimals since baseTimeNanoseconds.
"""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from .dump import TABLES, Clock, Records
from .errors import RecordsDamaged

_COPY_KINDS = {
    "HtoD": 1, "DtoH": 2, "HtoA": 3, "AtoH": 4, "AtoA": 5, "AtoD": 6, "DtoA": 7, "DtoD": 8,
    "HtoH": 9, "PtoP": 10,
}  # fmt: skip
# CUpti_ActivityMemoryKind, by the words that Kineto writes.
_MEMORY_KINDS = {
    "Pageable": 1, "Pinned": 2, "Device": 3, "Array": 4, "Managed": 5, "Device Static": 6,
    "Managed Static": 7,
}  # fmt: skip
_SYNC_TYPES = {
    "Event Sync": 1, "Event Synchronize": 1, "Stream Wait Event": 2, "Stream Sync": 3,
    "Stream Synchronize": 3, "Context Sync": 4, "Device Sync": 4, "Context Synchronize": 4,
}  # fmt: skip
_OVERHEADS = {
    "Buffer Flush": 1 << 16, "Instrumentation": 2 << 16, "Resource": 3 << 16,
    "Runtime Triggered Module Loading": 4 << 16, "Lazy Function Loading": 5 << 16,
    "Command Buffer Full": 6 << 16, "Activity Buffer Request": 7 << 16,
}  # fmt: skip
_INVALID = 0xFFFFFFFF


def read_chrome(path: Path, session: dict[str, Any], threads: list[Any]) -> Records:
    """Records of a trace that `session.TorchSession` wrote, with its facts and the thread list.

    Kineto may name a thread by the low half of its pthread id; `threads` gives both ids.
    """
    try:
        # Microseconds since a base weeks ago: a float would lose nanoseconds.
        data = json.loads(path.read_bytes(), parse_float=Decimal)
        base = int(data.get("baseTimeNanoseconds", 0))
        reader = _Reader(base, threads)
        for event in data["traceEvents"]:
            if event.get("ph") == "X":
                reader.take(event)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RecordsDamaged(f"{path} is not a trace of torch.profiler: {error}") from error
    clocks = session.get("clocks", {})
    opened, closed = int(clocks.get("opened", base)), int(clocks.get("closed", base))
    reader.drop_after(closed)
    return Records(
        road="torch",
        tables=reader.tables(),
        strings=tuple(reader.strings),
        opened=Clock(opened, opened, opened),
        closed=Clock(closed, closed, closed),
        library_version=session.get("library_version"),
        extra={"clock_error_ns": reader.clock_error(clocks.get("drain"))},
    )


class _Reader:
    def __init__(self, base: int, threads: list[Any]) -> None:
        self.strings: dict[str, int] = {}
        self._rows: dict[str, list[tuple[Any, ...]]] = {name: [] for name in TABLES}
        self._base = base
        self._tids: dict[int, int] = {}
        for number, _, ident in threads:
            if ident is not None:
                low = ident & 0xFFFFFFFF
                self._tids[low] = self._tids[abs(low - (1 << 32))] = number
        self._known = {number for number, *_ in threads}
        self._drains: list[tuple[int, int]] = []

    def take(self, event: dict[str, Any]) -> None:
        """One complete event, where it is of a kind that CUPTI records."""
        category = event.get("cat")
        take = _TAKERS.get(category if isinstance(category, str) else "")
        if take is not None:
            start = self._base + round(event["ts"] * 1000)
            end = start + round(event.get("dur", 0) * 1000)
            take(self, event, event.get("args", {}), start, end)

    def _string(self, text: str) -> int:
        return self.strings.setdefault(text, len(self.strings))

    def _tid(self, event: dict[str, Any]) -> int:
        tid = int(event.get("tid", 0))
        if tid in self._known:
            return tid
        return self._tids.get(tid, max(tid, 0) & 0xFFFFFF)  # -1: no thread of the host

    def kernel(self, event: Any, args: Any, start: int, end: int) -> None:
        row = np.zeros((), TABLES["kernel"][1])
        row["start"], row["end"] = start, end
        row["grid"], row["block"] = args.get("grid", (1, 1, 1)), args.get("block", (1, 1, 1))
        row["name"] = self._string(event["name"])
        row["registers"] = args.get("registers per thread", 0)
        row["dynamic_shared"] = args.get("shared memory", 0)
        _place(row, args)
        self._rows["kernel"].append(row.item())

    def memcpy(self, event: Any, args: Any, start: int, end: int) -> None:
        row = np.zeros((), TABLES["memcpy"][1])
        row["start"], row["end"], row["bytes"] = start, end, int(args.get("bytes", 0))
        # "Memcpy HtoD (Pageable -> Device)"
        words = event["name"].partition("(")
        row["copy_kind"] = _COPY_KINDS.get(words[0].split()[-1], 0)
        source, _, target = words[2].rstrip(")").partition(" -> ")
        row["src_kind"] = _MEMORY_KINDS.get(source.strip(), 0)
        row["dst_kind"] = _MEMORY_KINDS.get(target.strip(), 0)
        _place(row, args)
        self._rows["memcpy"].append(row.item())

    def memset(self, event: Any, args: Any, start: int, end: int) -> None:
        row = np.zeros((), TABLES["memset"][1])
        row["start"], row["end"], row["bytes"] = start, end, int(args.get("bytes", 0))
        kind = event["name"].partition("(")[2].rstrip(")")
        row["memory_kind"] = _MEMORY_KINDS.get(kind.strip(), 0)
        _place(row, args)
        self._rows["memset"].append(row.item())

    def api(self, event: Any, args: Any, start: int, end: int) -> None:
        name = event["name"]
        if name == "cudaDeviceSynchronize":
            self._drains.append((start, end))
        self._rows["api"].append(
            (
                start,
                end,
                0,
                self._tid(event),
                int(args.get("correlation", 0)),
                0,
                self._string(name),
                int(event["cat"] == "cuda_driver"),
            )
        )

    def sync(self, event: Any, args: Any, start: int, end: int) -> None:
        kind = next((value for name, value in _SYNC_TYPES.items() if name in event["name"]), 0)
        stream = int(args.get("stream", -1)) & _INVALID
        row = (start, end, kind, int(args.get("context", 0)) & _INVALID, stream)
        # wait_on_cuda_event_id is only there for waits on events
        event_id = int(args.get("cuda_event_id", args.get("wait_on_cuda_event_id", -1))) & _INVALID
        self._rows["sync"].append((*row, int(args.get("correlation", 0)), event_id, 0))

    def overhead(self, event: Any, args: Any, start: int, end: int) -> None:
        kind = next((value for name, value in _OVERHEADS.items() if name in event["name"]), 0)
        self._rows["overhead"].append((start, end, kind, 0, self._tid(event), 0))

    def drop_after(self, closed: int) -> None:
        """Leave out calls that the end of the session made itself."""
        self._rows["api"] = [row for row in self._rows["api"] if row[0] <= closed]
        self._rows["sync"] = [row for row in self._rows["sync"] if row[0] <= closed]

    def clock_error(self, drain: list[int] | None) -> int | None:
        """Largest difference between Kineto's clock and CLOCK_REALTIME that the session's own last
        cudaDeviceSynchronize allows; it lies between two readings. None where it is not there."""
        if not drain or not self._drains:
            return None
        start, end = max(self._drains)
        return max(abs(start - drain[0]), abs(end - drain[1]))

    def tables(self) -> dict[str, np.ndarray[Any, Any]]:
        """The rows as arrays of the shim's dtypes."""
        return {name: np.array(rows, TABLES[name][1]) for name, rows in self._rows.items()}


def _place(row: Any, args: dict[str, Any]) -> None:
    for name in ("device", "context", "stream", "correlation"):
        row[name] = int(args.get(name, 0)) & _INVALID
    row["graph_node"] = int(args.get("graph node id", 0))
    row["graph_id"] = int(args.get("graph id", 0)) & _INVALID


_TAKERS = {
    "kernel": _Reader.kernel,
    "gpu_memcpy": _Reader.memcpy,
    "gpu_memset": _Reader.memset,
    "cuda_runtime": _Reader.api,
    "cuda_driver": _Reader.api,
    "cuda_sync": _Reader.sync,
    "overhead": _Reader.overhead,
}
