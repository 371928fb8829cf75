"""From the tables of an export to a `Trace`: one pass a table, joined by correlationId."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..model import schema
from ..model.arrays import (
    Code,
    FirstMatch,
    distinct_rows,
    each,
    factorize,
    index_among,
    ordered,
    places,
)
from ..model.intervals import Int64
from ..model.repeated_ids import NearestMatch
from ..model.schema import NULL, PID_MASK, pid_of
from ..model.trace import (
    Calls,
    Holds,
    Operations,
    Overheads,
    Ranges,
    Strings,
    Synchronizations,
    Thread,
    Trace,
)
from .devices import Gpus, Places, add_places, misplaced, physical_devices
from .errors import NoTraceRows
from .graph_launches import find_launches
from .holds import TABLES as HOLD_TABLES
from .holds import HoldFinder
from .metadata import read_source
from .operations import join_operations
from .rules import (
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
from .sqlite.database import Database
from .streams import StreamNumbers, contexts_of

_EVENT_TABLES = (*schema.OPERATIONS, schema.RUNTIME, schema.NVTX)
_TABLES = (
    # The longest first, so that no core is left alone with it at the end.
    schema.RUNTIME, schema.NVTX, schema.STRINGS, schema.SYNCHRONIZATION,
    schema.PROFILER_OVERHEAD, schema.CUPTI_OVERHEAD, *HOLD_TABLES, *schema.OPERATIONS,
)  # fmt: skip


def holding_rows(database: Database) -> Database:
    """The same database. Raises TraceError where no table holds CUDA or NVTX rows."""
    if not any(database.has(table) for table in _EVENT_TABLES):
        raise NoTraceRows(
            f"{database.shown} holds no CUDA or NVTX rows ({len(database.layout)} tables, none of "
            "CUPTI_ACTIVITY_KIND_* or NVTX_EVENTS)"
        )
    return database


def read_tables(database: Database) -> Trace:
    """The trace that these tables hold, whatever they were read from."""
    return _Reader(database).trace()


class _Reader:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.source = read_source(database)
        tables = database.read_all(_TABLES)
        events = (tables[0], *tables[-len(schema.OPERATIONS) :], tables[1])
        base = clock_base(first_start(events), self.source.session_start_utc_ns)
        self.runtime, self.nvtx, strings, self.sync, *rest = (since(rows, base) for rows in tables)
        overheads, self.hold_tables, operations = rest[:2], rest[2:5], rest[5:]
        find_launches([rows for rows in operations if "graphNodeId" in rows])
        self.raw = join_operations(operations)
        values = dict(zip(strings["id"].tolist(), strings["value"], strict=True))
        self.nvtx_name = range_names(self.nvtx, values)
        self.strings = Strings(values)
        self.overhead = usable_overheads(overheads)
        # Few threads make many rows: what holds for the rows is found out on the threads.
        columns_of_threads = (
            self.runtime["globalTid"], self.nvtx["globalTid"], self.nvtx["endGlobalTid"],
        )  # fmt: skip
        self.calling, *others = (factorize(tids) for tids in columns_of_threads)
        opening, closing = (distinct[distinct != NULL] for _, distinct in others)
        callers = self.callers = np.unique(self.calling[1] & PID_MASK)
        for columns in (self.raw.columns, self.sync):
            columns["globalPid"] = named_processes(columns["globalPid"], callers.tolist())
        self._tell_streams_apart()
        pids = [
            factorize(self.raw.columns["globalPid"])[1],
            callers,
            opening & PID_MASK,
            factorize(self.sync["globalPid"])[1],
        ]
        self.pids = np.unique(np.concatenate(pids))
        # Calls that name no thread are one thread's, called NULL: every call has one.
        self.tids = np.unique(np.concatenate((self.calling[1], opening, closing)))

    def _tell_streams_apart(self) -> None:
        operations, waits = self.raw.columns, self.sync
        waits["contextId"] = contexts_of(waits)
        if len(factorize(operations["contextId"])[1]) < 2:
            return
        numbers = StreamNumbers()
        numbers.see(operations)
        numbers.see(waits)
        operations["streamId"] = numbers.streams(operations)
        waits["streamId"] = numbers.waited_for(waits)

    def trace(self) -> Trace:
        calls, duplicates = self._calls()
        gpus, device = self._devices()
        operations = self._operations(device)
        ranges = self._ranges(calls, operations)
        return Trace(
            path=self.database.path,
            source=self.source,
            strings=self.strings,
            devices=gpus.devices,
            processes=tuple(self.pids.tolist()),
            threads=self._threads(),
            operations=operations,
            calls=calls,
            synchronizations=self._synchronizations(),
            ranges=ranges,
            overheads=self._overheads(),
            holds=self._holds(gpus, operations),
            dropped=self.raw.dropped,
            ranges_dropped=self.ranges_dropped,
            calls_unusable=self.calls_unusable,
            duplicate_calls=duplicates,
            ambiguous_devices=gpus.mixed_up,
            misplaced=self._misplaced(),
        )

    def _calls(self) -> tuple[Calls, int]:
        caller, distinct = self.calling
        rows, usable, self.calls_unusable = usable_calls(self.runtime)
        if usable is not None:
            caller = caller[usable]
        start, end = rows["start"], rows["end"]
        thread = each(caller, places(distinct, self.tids))
        order = by_thread(thread, start, end)
        if order is not None:
            start, end, thread, caller = start[order], end[order], thread[order], caller[order]
            rows = {name: column[order] for name, column in rows.items()}
        codes, ids = factorize(rows["nameId"])
        calls = Calls(
            start=start,
            end=end,
            thread=thread,
            process=each(caller, places(distinct & PID_MASK, self.pids)),
            correlation=rows["correlationId"],
            name=codes,
            failed=failed_calls(rows["returnValue"]),
            names=tuple(call_names(ids, self.strings.values)),
        )
        self.calls_by_id = [
            (mine, FirstMatch(calls.correlation[mine]))
            for mine in _by_value(calls.process, len(self.pids))
        ]
        repeats = [ids.repeats() for _, ids in self.calls_by_id]
        self.nearest = [
            _nearest(calls, mine, ids) if count else None
            for (mine, ids), count in zip(self.calls_by_id, repeats, strict=True)
        ]
        return calls, sum(repeats)

    def _match(self, process: Code, correlation: Int64, start: Int64) -> Int64:
        """The call of each (process, correlationId), of several the last that began before
        `start`, -1 where none."""
        result = np.full(len(correlation), -1, np.int64)
        groups = _by_value(process, len(self.pids))
        for rows, (mine, ids), nearest in zip(groups, self.calls_by_id, self.nearest, strict=True):
            found = ids.find(correlation[rows])
            if isinstance(mine, slice):
                result[rows] = found
            else:
                result[rows] = np.where(found >= 0, mine[found], -1) if len(mine) else -1
            if nearest:
                result[rows] = nearest.choose(result[rows], correlation[rows], start[rows])
        # correlationId 0 (or none) belongs to work that no call launched.
        result[correlation <= 0] = -1
        return result

    def _operations(self, device: Code) -> Operations:
        taken = ("globalPid", "deviceId", "contextId")
        columns = {k: v for k, v in self.raw.columns.items() if k not in taken}
        kind, copy_kind, peer = self.raw.kind, self.raw.copy_kind, self.raw.peer
        pageable = self.raw.pageable
        process = index_among(self.raw.columns["globalPid"], self.pids)
        order = ordered(columns["start"], columns["correlationId"])
        if order is not None:
            columns = {name: column[order] for name, column in columns.items()}
            kind, device, process = kind[order], device[order], process[order]
            copy_kind, peer, pageable = copy_kind[order], peer[order], pageable[order]
        return Operations(
            start=columns["start"],
            end=columns["end"],
            kind=kind,
            device=device,
            process=process,
            stream=columns["streamId"],
            correlation=columns["correlationId"],
            name=columns["shortName"],
            copy_kind=copy_kind,
            peer=peer,
            pageable=pageable,
            node=columns["node"],
            sequence=columns[schema.SEQUENCE].astype(np.int32),
            launch=self._match(process, columns["correlationId"], columns["start"]),
        )

    def _synchronizations(self) -> Synchronizations:
        rows = self.sync
        process = index_among(rows["globalPid"], self.pids)
        return Synchronizations(
            start=rows["start"],
            end=rows["end"],
            kind=rows["syncType"].astype(np.int8),
            process=process,
            stream=rows["streamId"],
            correlation=rows["correlationId"],
            call=self._match(process, rows["correlationId"], rows["start"]),
        )

    def _ranges(self, calls: Calls, operations: Operations) -> Ranges:
        rows, name = self.nvtx, self.nvtx_name
        start, end = rows["start"], rows["end"]
        unclosed = end == NULL
        usable, self.ranges_dropped = usable_ranges(rows)
        known = (calls.end, operations.end, start[usable], end[usable & ~unclosed])
        last = max((int(times.max()) for times in known if len(times)), default=0)
        end = np.where(unclosed, last, end)
        thread = index_among(rows["globalTid"], self.tids)
        table = {
            "start": start,
            "end": end,
            "thread": thread,
            "end_thread": index_among(closing_threads(rows), self.tids),
            "name": name,
            "domain": rows["domainId"],
            "unclosed": unclosed,
        }
        if not usable.all():
            table = {key: column[usable] for key, column in table.items()}
        order = by_thread(table["thread"], table["start"], table["end"])
        if order is not None:
            table = {key: column[order] for key, column in table.items()}
        return Ranges(**table)

    def _overheads(self) -> Overheads:
        rows = self.overhead
        return Overheads(
            start=rows["start"],
            end=rows["end"],
            thread=overhead_threads(rows["globalTid"], self.tids),
            process=index_among(rows["globalTid"] & PID_MASK, self.pids),
            name=rows["nameId"],
        )

    def _holds(self, gpus: Gpus, operations: Operations) -> Holds:
        finder = HoldFinder(
            self.hold_tables, self.users, gpus.by_id, self.pids, self.callers.tolist()
        )
        finder.see(operations.process, operations.device, operations.start)
        return Holds(**finder.columns())

    def _threads(self) -> tuple[Thread, ...]:
        rows = self.database.read(schema.THREAD_NAMES)
        named = thread_names(rows, self.strings.values, self.tids)
        return tuple(Thread(tid, name) for tid, name in named)

    def _misplaced(self) -> int:
        places: Places = {}
        add_places(places, self.raw.columns)
        return misplaced(places)

    def _devices(self) -> tuple[Gpus, Code]:
        """Physical devices and each operation's; by uuid where the report knows it."""
        columns = self.raw.columns
        process, pids = factorize(columns["globalPid"])
        ordinal, ordinals = factorize(columns["deviceId"])
        pair = process.astype(np.int64) * max(len(ordinals), 1) + ordinal
        codes, pairs = factorize(pair)
        users = [
            (int(pids[pair // len(ordinals)]), int(ordinals[pair % len(ordinals)]))
            for pair in pairs.tolist()
        ]
        gpus = physical_devices(self.database, [(pid_of(pid), ordinal) for pid, ordinal in users])
        self.users = dict(zip(users, gpus.device.tolist(), strict=True))
        return gpus, gpus.device[codes] if len(pairs) else np.empty(0, np.int32)


def _nearest(calls: Calls, mine: slice | Int64, ids: FirstMatch) -> NearestMatch:
    """Of the calls of one process that share an id."""
    rows = np.arange(len(calls))[mine]
    first = ids.find(calls.correlation[rows])
    again = np.flatnonzero(first != np.arange(len(first)))
    shared = rows[distinct_rows(again, first[again])]
    return NearestMatch(
        shared, calls.correlation[shared], calls.start[shared], calls.end[shared],
        calls.thread[shared],
    )  # fmt: skip


_FEW = 8
"""Processes up to which a pass over the rows for each costs less than sorting them."""


def _by_value(codes: Code, distinct: int) -> list[slice | Int64]:
    """The rows of each code from 0 on, ascending."""
    if distinct == 1:
        return [slice(None)]
    if distinct <= _FEW:
        return [np.flatnonzero(codes == index) for index in range(distinct)]
    order = np.argsort(codes, kind="stable")
    edges = np.searchsorted(codes[order], np.arange(distinct + 1))
    return [order[low:high] for low, high in pairwise(edges.tolist())]
