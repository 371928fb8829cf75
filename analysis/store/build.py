"""From an SQLite export to a store within a budget of memory, for rows in any order.

Each table is read a stretch at a time and put aside as sorted runs (`runs`), which are merged by
ranges of time; calls find their operations by ranges of their ids (`join`). What stays in memory is
the texts, the rows of synchronisations, of overheads and of what held devices, and one range of
rows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from ..model import schema
from ..model.arrays import factorize, index_among, ordered
from ..model.cuda_calls import SYNCHRONIZE
from ..model.intervals import Int64
from ..model.schema import NULL, PID_MASK, Kind, pid_of
from ..model.trace import Dropped, Unusable
from ..readers.devices import Gpus, Places, add_places, misplaced, physical_devices
from ..readers.graph_launches import GraphLaunches, nodes_of
from ..readers.holds import TABLES as HOLD_TABLES
from ..readers.holds import HoldFinder
from ..readers.metadata import read_metadata
from ..readers.open import open_export
from ..readers.operations import join_operations
from ..readers.rules import (
    by_thread,
    call_names,
    clock_base,
    closing_threads,
    failed_calls,
    first_start,
    named_processes,
    overhead_threads,
    range_names,
    since,
    thread_names,
    usable_calls,
    usable_overheads,
    usable_ranges,
)
from ..readers.sqlite.database import Columns, Database
from ..readers.streams import StreamNumbers, contexts_of
from .codec import encode
from .flags import find_flag_waits, flag_launches, flag_polls
from .folder import Array, Writer, write_checked
from .join import CallSide, Side, join_calls
from .layout import AS_EXPORTED, FAILED, GROUPS, REPEATED, SYNCHRONIZING
from .runs import Runs, taken
from .save import FLAG_WAITS, STRINGS
from .strings import pack_strings

_ROW_BYTES = 600
"""Memory that one row of a range takes while it is sorted and written."""
_FIXED = 200 << 20

Progress = Callable[[str, int, int], None]


def build_store(path: Path, folder: Path, budget: int, progress: Progress) -> None:
    """Fill an empty folder, taking about `budget` bytes of memory. Raises TraceError."""
    most = min(max((budget - _FIXED) // _ROW_BYTES, 1 << 14), 1 << 21)
    _Builder(open_export(path), folder, most, progress).build()


class _Builder:
    def __init__(self, database: Database, folder: Path, most: int, progress: Progress) -> None:
        self.database, self.folder, self.most, self.progress = database, folder, most, progress
        self.writer = Writer(folder)
        rows = database.read(schema.STRINGS)
        self.strings: dict[int, str] = dict(zip(rows["id"].tolist(), rows["value"], strict=True))
        self.metadata = read_metadata(database)
        self.base: int | None = None
        """What is taken off all times; None while no row has been read."""
        self.pids: set[int] = set()
        self.tids: set[int] = set()
        self.users: set[tuple[int, int]] = set()
        """(globalPid, CUDA ordinal) of every operation."""
        self.places: Places = {}
        self.streams = StreamNumbers()
        self.callers: set[int] = set()
        self.graphs, self.dropped = GraphLaunches(), Dropped()
        self.ranges_dropped = self.calls_unusable = Unusable()
        self.last: list[int] = []
        """The latest times of each kind of row: where ranges end that never closed."""

    def build(self) -> None:
        calls = self._read_calls()
        operations = self._read_operations()
        sync = self._read_synchronizations()
        ranges = self._read_ranges()
        self.pid = np.array(sorted(self.pids), np.int64)
        self.tid = np.array(sorted(self.tids), np.int64)
        names = self._write_calls(calls)
        gpus = self._write_operations(operations)
        self._write_ranges(ranges)
        self._write_overheads()
        self.writer.append(
            "synchronizations", sync | {"process": index_among(sync["process"], self.pid)}
        )
        self.writer.close_columns()
        duplicates = self._join(names)
        write_checked(self.folder / STRINGS, pack_strings(self.strings))
        self.writer.finish(
            {
                "names": names,
                "devices": [to_builtins(device) for device in gpus.devices],
                "processes": self.pid.tolist(),
                "threads": thread_names(
                    self.database.read(schema.THREAD_NAMES), self.strings, self.tid
                ),
                "dropped": to_builtins(self.dropped),
                "ranges_dropped": to_builtins(self.ranges_dropped),
                "calls_unusable": to_builtins(self.calls_unusable),
                "duplicate_calls": duplicates,
                "ambiguous_devices": gpus.mixed_up,
                "misplaced": misplaced(self.places),
                "metadata": to_builtins(self.metadata),
            }
        )

    # Reading: every table once, put aside as sorted runs

    def _stream(self, table: schema.Table) -> Iterator[Columns]:
        done = 0
        for read in self.database.stream(table):
            rows = self._since(read)
            self.progress(f"reading {table.name}", done, 0)
            done += len(rows["start"])
            yield rows

    def _since(self, rows: Columns) -> Columns:
        """Rows on the report's own clock; the first rows of all tell what that is."""
        if self.base is None:
            first = first_start([rows])
            if first is None:
                return rows
            self.base = clock_base(first, self.metadata.session_start_utc_ns)
        return since(rows, self.base)

    def _read_calls(self) -> Runs:
        runs = Runs(self.folder, "calls", ("globalTid", "start"), ("nameId",))
        for read in self._stream(schema.RUNTIME):
            self.callers.update(_distinct(read["globalTid"] & PID_MASK))
            self.tids.update(_distinct(read["globalTid"]))
            rows, _, unfit = usable_calls(read)
            self.calls_unusable += unfit
            self._until(rows["end"])
            rows["returnValue"] = failed_calls(rows["returnValue"]).astype(np.int64)
            runs.add(rows)
        self.pids |= self.callers
        return runs

    def _read_operations(self) -> Runs:
        runs = Runs(self.folder, "operations", ("major", "start"))
        for kind, table in zip(Kind, schema.OPERATIONS, strict=True):
            for rows in self._stream(table):
                rows["globalPid"] = named_processes(rows["globalPid"] & PID_MASK, self.callers)
                if "graphNodeId" in rows:
                    rows["node"] = nodes_of(rows)
                    rows["correlationId"] = self.graphs.take(rows, rows["globalPid"])
                tables = [
                    rows if other is table else {c.name: _NONE for c in other.columns}
                    for other in schema.OPERATIONS
                ]
                raw = join_operations(tables)
                self.dropped += raw.dropped
                columns = raw.columns
                for pid in _distinct(columns["globalPid"]):
                    used = _distinct(columns["deviceId"][columns["globalPid"] == pid])
                    self.users.update((pid, ordinal) for ordinal in used)
                add_places(self.places, columns)
                self.streams.see(columns)
                self._until(columns["end"])
                columns["major"] = np.zeros(len(columns["start"]), np.int64)
                columns["kind"] = np.full(len(columns["start"]), kind, np.int64)
                columns["copy_kind"] = raw.copy_kind.astype(np.int64)
                columns["peer"] = raw.peer.astype(np.int64)
                columns["pageable"] = raw.pageable.astype(np.int64)
                runs.add(columns)
        self.pids.update(pid for pid, _ in self.users)
        return runs

    def _read_synchronizations(self) -> dict[str, Array]:
        rows = self._since(self.database.read(schema.SYNCHRONIZATION))
        process = named_processes(rows["globalPid"], self.callers)
        self.pids.update(_distinct(process))
        rows |= {"globalPid": process, "contextId": contexts_of(rows)}
        self.streams.see(rows)
        return {
            "start": rows["start"],
            "end": rows["end"],
            "kind": rows["syncType"].astype(np.int8),
            "process": process,
            "stream": self.streams.waited_for(rows),
            "correlation": rows["correlationId"],
        }

    def _read_ranges(self) -> Runs:
        runs = Runs(self.folder, "ranges", ("globalTid", "start"))
        given: dict[str, int] = {}
        for rows in self._stream(schema.NVTX):
            own: Int64 = rows["globalTid"]
            closer: Int64 = rows["endGlobalTid"]
            self.tids.update(_distinct(own[own != NULL]), _distinct(closer[closer != NULL]))
            self.pids.update(_distinct(own[own != NULL] & PID_MASK))
            columns: dict[str, Int64] = {
                name: rows[name] for name in ("start", "end", "globalTid", "domainId")
            }
            columns["name"] = range_names(rows, self.strings, given)
            columns["closer"] = closing_threads(rows)
            usable, unfit = usable_ranges(rows)
            self.ranges_dropped += unfit
            self._until(rows["start"][usable])
            self._until(rows["end"][usable & (rows["end"] != NULL)])
            runs.add({name: column[usable] for name, column in columns.items()})
        return runs

    def _until(self, times: Int64) -> None:
        if len(times):
            self.last.append(int(times.max()))

    # Writing: in order, a range at a time

    def _write(
        self, group: str, runs: Runs, columns: Callable[[dict[str, Int64]], dict[str, Array]]
    ) -> None:
        if not runs.rows:
            return
        done = 0
        extent = {new: runs.extent[old] for new, old in AS_EXPORTED[group].items()}
        # Codes are ranks among a few values: bounded by how many there are.
        extent |= {"process": (-1, len(self.pid)), "thread": (-1, len(self.tid))}
        extent |= {"end_thread": (-1, len(self.tid)), "device": (-1, len(self.users))}
        if group == "operations":
            low, high = extent["stream"]
            extent["stream"] = low, max(high, self.streams.highest)
        if group == "calls":
            extent["name"] = (0, len(runs.distinct["nameId"]))
        if group == "ranges":
            extent["end"] = (extent["start"][0], max(extent["end"][1], self.end))
        for rows in runs.merged(self.most):
            self.progress(f"sorting {group}", done, runs.rows)
            done += len(rows["start"])
            self.writer.append(group, columns(rows), extent)

    def _write_calls(self, runs: Runs) -> list[str]:
        ids = np.array(sorted(runs.distinct["nameId"]), np.int64)
        names = call_names(ids, self.strings)
        waits = np.array([name in SYNCHRONIZE for name in names] or [False], np.bool_)

        def columns(rows: dict[str, Int64]) -> dict[str, Array]:
            rows = _in_order(rows)
            name = np.searchsorted(ids, rows["nameId"])
            flags = rows["returnValue"].astype(np.uint8) * np.uint8(FAILED)
            flags |= waits[name].astype(np.uint8) * np.uint8(SYNCHRONIZING)
            return {
                "start": rows["start"],
                "end": rows["end"],
                "thread": index_among(rows["globalTid"], self.tid),
                "process": index_among(rows["globalTid"] & PID_MASK, self.pid),
                "correlation": rows["correlationId"],
                "name": name,
                "flags": flags,
            }

        self._write("calls", runs, columns)
        return names

    def _write_operations(self, runs: Runs) -> Gpus:
        users = sorted(self.users)
        pids = [(pid_of(pid), ordinal) for pid, ordinal in users]
        gpus = physical_devices(self.database, pids)
        holds = self._find_holds(dict(zip(users, gpus.device.tolist(), strict=True)), gpus)

        def columns(rows: dict[str, Any]) -> dict[str, Array]:
            ids = self.graphs.resolve(rows["correlationId"], rows["start"], rows["globalPid"])
            order = ordered(rows["start"], ids)
            rows = rows | {"correlationId": ids}
            if order is not None:
                rows = taken(rows, order)
            device = np.zeros(len(rows["start"]), np.int32)
            for k, (pid, ordinal) in enumerate(users):
                device[(rows["globalPid"] == pid) & (rows["deviceId"] == ordinal)] = gpus.device[k]
            process = index_among(rows["globalPid"], self.pid)
            holds.see(process, device, rows["start"])
            return {
                "start": rows["start"],
                "end": rows["end"],
                "kind": rows["kind"],
                "device": device,
                "process": process,
                "stream": self.streams.streams(rows),
                "correlation": rows["correlationId"],
                "name": rows["shortName"],
                "copy_kind": rows["copy_kind"],
                "peer": rows["peer"],
                "pageable": rows["pageable"],
                "node": rows["node"],
                "sequence": rows[schema.SEQUENCE],
            }

        self._write("operations", runs, columns)
        self.writer.append("holds", holds.columns())
        return gpus

    def _find_holds(self, users: dict[tuple[int, int], int], gpus: Gpus) -> HoldFinder:
        read = self.database.read_all(HOLD_TABLES)
        functions, switches, contexts = (since(rows, self.base or 0) for rows in read)
        return HoldFinder(
            (functions, switches, contexts), users, gpus.by_id, self.pid, self.callers
        )

    @property
    def end(self) -> int:
        """Where ranges end that never closed."""
        return max(self.last, default=0)

    def _write_ranges(self, runs: Runs) -> None:
        def columns(rows: dict[str, Int64]) -> dict[str, Array]:
            unclosed = rows["end"] == NULL
            end = np.where(unclosed, self.end, rows["end"])
            rows = rows | {"end": end, "unclosed": unclosed}
            rows = _in_order(rows)
            return {
                "start": rows["start"],
                "end": rows["end"],
                "thread": index_among(rows["globalTid"], self.tid),
                "end_thread": index_among(rows["closer"], self.tid),
                "name": rows["name"],
                "domain": rows["domainId"],
                "unclosed": rows["unclosed"],
            }

        self._write("ranges", runs, columns)

    def _write_overheads(self) -> None:
        tables = self.database.read_all((schema.PROFILER_OVERHEAD, schema.CUPTI_OVERHEAD))
        rows = usable_overheads([self._since(table) for table in tables])
        self.writer.append(
            "overheads",
            {
                "start": rows["start"],
                "end": rows["end"],
                "thread": overhead_threads(rows["globalTid"], self.tid),
                "process": index_among(rows["globalTid"] & PID_MASK, self.pid),
                "name": rows["nameId"],
            },
        )

    # Joining

    def _join(self, names: list[str]) -> int:
        """Launches of operations, calls of synchronisations, and what follows for the calls."""
        writer = self.writer
        rows = {group: writer.rows(group) for group in GROUPS}
        launch = writer.column("operations", "launch", (-1, rows["calls"]))
        call = writer.column("synchronizations", "call", (-1, rows["calls"]))
        flags = writer.again("calls", "flags")

        def side(group: str) -> Side:
            return Side(*(writer.written(group, name) for name in Side.__struct_fields__))

        calls = CallSide(*(writer.written("calls", name) for name in CallSide.__struct_fields__))

        self.progress("joining", 0, rows["operations"])
        asking = [(side("operations"), launch), (side("synchronizations"), call)]

        def repeated(rows: Int64) -> None:
            flags[rows] |= REPEATED

        duplicates = join_calls(calls, len(self.pid), self.most, asking, repeated)
        flag_launches(writer, launch, flags, names, self.most)
        flag_polls(writer, flags, names, self.most)
        waits = find_flag_waits(writer, launch, flags, names, len(self.tid), self.most)
        write_checked(self.folder / FLAG_WAITS, encode(waits))
        for array in (launch, call, flags):
            if isinstance(array, np.memmap):
                array.flush()
        return duplicates


_NONE = np.empty(0, np.int64)


def _distinct(values: Int64) -> list[int]:
    found: list[int] = factorize(values)[1].tolist()
    return found


def _in_order(rows: dict[str, Any]) -> dict[str, Any]:
    order = by_thread(rows["globalTid"], rows["start"], rows["end"])
    return rows if order is None else taken(rows, order)
