"""From the tables of an export to a `Trace`: one pass a table, joined by correlationId."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from ..model import schema
from ..model.arrays import Code, FirstMatch, factorize, ordered
from ..model.errors import TraceError
from ..model.intervals import Int64
from ..model.schema import NULL, PID_MASK, pid_of
from ..model.trace import (
    Calls,
    Device,
    Operations,
    Overheads,
    Ranges,
    Strings,
    Synchronizations,
    Thread,
    Trace,
    Unusable,
)
from .devices import physical_devices
from .graph_launches import NODES, find_launches
from .metadata import read_source
from .operations import all_sane, join_operations, sane, unusable
from .sqlite.database import Columns, Database

_EVENT_TABLES = (*schema.OPERATIONS, schema.RUNTIME, schema.NVTX)
_TABLES = (
    # The longest first, so that no core is left alone with it at the end.
    schema.RUNTIME, schema.NVTX, schema.STRINGS, schema.SYNCHRONIZATION,
    schema.PROFILER_OVERHEAD, schema.CUPTI_OVERHEAD, *schema.OPERATIONS,
)  # fmt: skip


def holding_rows(database: Database) -> Database:
    """The same database. Raises TraceError where no table holds CUDA or NVTX rows."""
    if not any(database.has(table) for table in _EVENT_TABLES):
        raise TraceError(
            f"{database.shown} holds no CUDA or NVTX rows ({len(database.layout)} tables, none of "
            "CUPTI_ACTIVITY_KIND_* or NVTX_EVENTS)",
            remedy="record with `nsys profile --trace=cuda,nvtx` and export again",
        )
    return database


def read_tables(database: Database) -> Trace:
    """The trace that these tables hold, whatever they were read from."""
    return _Reader(database).trace()


class _Reader:
    def __init__(self, database: Database) -> None:
        self.database = database
        self.source = read_source(database)
        self.runtime, self.nvtx, strings, self.sync, *rest = database.read_all(_TABLES)
        overheads, operations = rest[:2], rest[2:]
        of_graphs = operations[: len(NODES)]
        if any(bool((rows["correlationId"] == 0).any()) for rows in of_graphs):
            find_launches(of_graphs, database.read_all(NODES))
        self.raw = join_operations(operations)
        values = dict(zip(strings["id"].tolist(), strings["value"], strict=True))
        self.nvtx_name = range_names(self.nvtx, values)
        self.strings = Strings(values)
        self.overhead = {k: np.concatenate([t[k] for t in overheads]) for k in overheads[0]}
        # Few threads make many rows: what holds for the rows is found out on the threads.
        tables = (
            self.runtime["globalTid"], self.nvtx["globalTid"], self.nvtx["endGlobalTid"],
        )  # fmt: skip
        self.calling, *others = (factorize(tids) for tids in tables)
        opening, closing = (distinct[distinct != NULL] for _, distinct in others)
        callers = np.unique(self.calling[1] & PID_MASK)
        if len(callers) == 1:
            # An export that names no process for its GPU rows, and holds the calls of one.
            for columns in (self.raw.columns, self.sync):
                nameless = (columns["globalPid"] & PID_MASK & ~NULL) == 0
                if nameless.any():
                    columns["globalPid"] = np.where(nameless, callers[0], columns["globalPid"])
        pids = [
            factorize(self.raw.columns["globalPid"])[1],
            callers,
            opening & PID_MASK,
            factorize(self.sync["globalPid"])[1],
        ]
        self.pids = np.unique(np.concatenate(pids))
        # Calls that name no thread are one thread's, called NULL: every call has one.
        self.tids = np.unique(np.concatenate((self.calling[1], opening, closing)))

    def trace(self) -> Trace:
        calls, duplicates = self._calls()
        devices, device, ambiguous = self._devices()
        operations = self._operations(device)
        ranges = self._ranges(calls, operations)
        return Trace(
            path=self.database.path,
            source=self.source,
            strings=self.strings,
            devices=devices,
            processes=tuple(self.pids.tolist()),
            threads=self._threads(),
            operations=operations,
            calls=calls,
            synchronizations=self._synchronizations(),
            ranges=ranges,
            overheads=self._overheads(),
            dropped=self.raw.dropped,
            ranges_dropped=self.ranges_dropped,
            calls_unusable=self.calls_unusable,
            duplicate_calls=duplicates,
            ambiguous_devices=ambiguous,
        )

    def _index(self, values: Int64, among: Int64) -> Code:
        """Index of each value among a few sorted ones, -1 where it is none of them."""
        codes, distinct = factorize(values)
        return _each(codes, _among(distinct, among))

    def _calls(self) -> tuple[Calls, int]:
        rows = self.runtime
        start, end = rows["start"], rows["end"]
        caller, distinct = self.calling
        self.calls_unusable = Unusable()
        # A call that never returned has no end: it holds its thread for no time we know of.
        if not all_sane(start, end) or bool((end < start).any()):
            self.calls_unusable = unusable(start, end)
            usable = sane(start) & (sane(end) | (end == NULL))
            rows = {name: column[usable] for name, column in rows.items()}
            start, end, caller = rows["start"], rows["end"], caller[usable]
            end = np.maximum(end, start)  # NULL is the least of all
        thread = _each(caller, _among(distinct, self.tids))
        order = _by_thread(thread, start, end)
        if order is not None:
            start, end, thread, caller = start[order], end[order], thread[order], caller[order]
            rows = {name: column[order] for name, column in rows.items()}
        codes, ids = factorize(rows["nameId"])
        names = [schema.api_name(self.strings[i]) or schema.UNKNOWN_CALL for i in ids.tolist()]
        failed = rows["returnValue"] != 0
        failed &= rows["returnValue"] != NULL
        calls = Calls(
            start=start,
            end=end,
            thread=thread,
            process=_each(caller, _among(distinct & PID_MASK, self.pids)),
            correlation=rows["correlationId"],
            name=codes,
            failed=failed,
            names=tuple(names),
        )
        self.calls_by_id = [
            (mine, FirstMatch(calls.correlation[mine]))
            for mine in _by_value(calls.process, len(self.pids))
        ]
        return calls, sum(ids.repeats() for _, ids in self.calls_by_id)

    def _match(self, process: Code, correlation: Int64) -> Int64:
        """The call of each (process, correlationId), the earliest of several, -1 where none."""
        result = np.full(len(correlation), -1, np.int64)
        groups = _by_value(process, len(self.pids))
        for rows, (mine, ids) in zip(groups, self.calls_by_id, strict=True):
            found = ids.find(correlation[rows])
            if isinstance(mine, slice):
                result[rows] = found
            else:
                result[rows] = np.where(found >= 0, mine[found], -1) if len(mine) else -1
        # correlationId 0 (or none) belongs to work that no call launched.
        result[correlation <= 0] = -1
        return result

    def _operations(self, device: Code) -> Operations:
        columns = {k: v for k, v in self.raw.columns.items() if k not in ("globalPid", "deviceId")}
        kind, copy_kind, peer = self.raw.kind, self.raw.copy_kind, self.raw.peer
        process = self._index(self.raw.columns["globalPid"], self.pids)
        order = ordered(columns["start"], columns["correlationId"])
        if order is not None:
            columns = {name: column[order] for name, column in columns.items()}
            kind, device, process = kind[order], device[order], process[order]
            copy_kind, peer = copy_kind[order], peer[order]
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
            launch=self._match(process, columns["correlationId"]),
        )

    def _synchronizations(self) -> Synchronizations:
        rows = self.sync
        process = self._index(rows["globalPid"], self.pids)
        return Synchronizations(
            start=rows["start"],
            end=rows["end"],
            kind=rows["syncType"].astype(np.int8),
            process=process,
            stream=rows["streamId"],
            correlation=rows["correlationId"],
            call=self._match(process, rows["correlationId"]),
        )

    def _ranges(self, calls: Calls, operations: Operations) -> Ranges:
        rows, name = self.nvtx, self.nvtx_name
        start, end = rows["start"], rows["end"]
        unclosed = end == NULL
        # Imported ranges (NVTXT) may name no thread: nothing can be said of what they launched.
        usable = sane(start) & (unclosed | (sane(end) & (end >= start)))
        self.ranges_dropped = Unusable() if bool(usable.all()) else unusable(start, end)
        usable &= rows["globalTid"] != NULL
        last = max(
            (
                int(times.max())
                for times in (calls.end, operations.end, start[usable])
                if len(times)
            ),
            default=0,
        )
        last = max(last, int(end[usable & ~unclosed].max(initial=last)))
        end = np.where(unclosed, last, end)
        thread = self._index(rows["globalTid"], self.tids)
        own: Int64 = rows["globalTid"]
        closer: Int64 = rows["endGlobalTid"]
        closer = np.where((closer == NULL) | (closer == 0), own, closer)
        table = {
            "start": start,
            "end": end,
            "thread": thread,
            "end_thread": self._index(closer, self.tids),
            "name": name,
            "domain": rows["domainId"],
            "unclosed": unclosed,
        }
        if not usable.all():
            table = {key: column[usable] for key, column in table.items()}
        order = _by_thread(table["thread"], table["start"], table["end"])
        if order is not None:
            table = {key: column[order] for key, column in table.items()}
        return Ranges(**table)

    def _overheads(self) -> Overheads:
        rows = self.overhead
        keep = sane(rows["start"]) & sane(rows["end"]) & (rows["end"] > rows["start"])
        rows = {name: column[keep] for name, column in rows.items()}
        return Overheads(
            start=rows["start"],
            end=rows["end"],
            thread=self._index(rows["globalTid"], self.tids),
            process=self._index(rows["globalTid"] & PID_MASK, self.pids),
            name=rows["nameId"],
        )

    def _threads(self) -> tuple[Thread, ...]:
        rows = self.database.read(schema.THREAD_NAMES)
        names = dict(zip(rows["globalTid"].tolist(), rows["nameId"].tolist(), strict=True))
        return tuple(
            Thread(tid, self.strings[names[tid]] if tid in names else "")
            for tid in self.tids.tolist()
        )

    def _devices(self) -> tuple[tuple[Device, ...], Code, bool]:
        """Physical devices and each operation's; by uuid where the report knows it."""
        columns = self.raw.columns
        process, pids = factorize(columns["globalPid"])
        ordinal, ordinals = factorize(columns["deviceId"])
        pair = process.astype(np.int64) * max(len(ordinals), 1) + ordinal
        codes, pairs = factorize(pair)
        users = [
            (pid_of(int(pids[pair // len(ordinals)])), int(ordinals[pair % len(ordinals)]))
            for pair in pairs.tolist()
        ]
        devices, table, shared = physical_devices(self.database, users)
        return devices, table[codes] if len(pairs) else np.empty(0, np.int32), shared


def range_names(
    rows: Columns, strings: dict[int, str], given: dict[str, int] | None = None
) -> Int64:
    """String id of each range: textId where registered, else a new negative id for its text.

    `given`: the texts that had such an id already, where the ranges come in several parts.
    """
    ids: Int64 = rows["textId"]
    own = (ids == NULL) | (ids == 0)
    if not own.any():
        return ids
    ids = ids.copy()
    given = {} if given is None else given
    texts = rows["text"]
    for row in np.flatnonzero(own).tolist():
        text = texts[row]
        # textId 0 is nsys's "[Unknown]" only where the row brings no text of its own.
        if not text and ids[row] == 0:
            continue
        ids[row] = given.setdefault(text, -1 - len(given))
    strings.update({string_id: text for text, string_id in given.items()})
    return ids


def _among(distinct: Int64, among: Int64) -> Code:
    """Index of each value among some sorted ones, -1 where it is none of them."""
    found = np.full(len(distinct), -1, np.int32)
    if len(among) == 0:  # overhead rows alone make no thread known
        return found
    at = np.searchsorted(among, distinct)
    hit = (at < len(among)) & (among[np.minimum(at, len(among) - 1)] == distinct)
    found[hit] = at[hit]
    return found


def _each(codes: Code, table: Code) -> Code:
    """The table's value for each code; a table of one is not looked up a million times."""
    return np.full(len(codes), table[0], np.int32) if len(table) == 1 else table[codes]


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


def _by_thread(thread: Code, start: Int64, end: Int64) -> Int64 | None:
    """Order by (thread, start, -end), or None where the rows stand so."""
    if len(thread) and (thread == thread[0]).all():
        return None if bool((start[1:] > start[:-1]).all()) else ordered(start, -end)
    return np.lexsort((-end, start, thread))
