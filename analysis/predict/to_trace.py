"""From a log to a trace in Nsight's own schema, marked as simulated."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

from ..gains.log import Log, Operation
from ..gains.work import COPY, MEMSET, ON_DEVICE, TO_HOST
from ..model.streams import context_rank, recorded_number
from ..writer.writer import DEVICE, PAGEABLE, PINNED, CopyKind, SyncType, TraceBuilder

PID = TID = 1000
"""One simulated process with one thread; made up, so that the same input gives the same bytes."""

_SYNC = {
    "event": SyncType.EVENT,
    "stream-wait": SyncType.STREAM_WAIT_EVENT,
    "stream": SyncType.STREAM,
    "device": SyncType.CONTEXT,
}
Place = Callable[[Hashable], tuple[int, int]]


def plain_place(stream: Hashable) -> tuple[int, int]:
    """(device ordinal, streamId) of a stream that is called by its number."""
    return 0, int(stream)  # type: ignore[call-overload]


def recorded_place(stream: Hashable) -> tuple[int, int]:
    """The same of a stream of a `recorded` program, which is called by both."""
    return (int(stream[0]), int(stream[1])) if isinstance(stream, tuple) else plain_place(stream)


def fill(trace: TraceBuilder, log: Log, place: Place = plain_place, name: str = "python") -> None:
    """Add the log's rows to `trace`; `place` says on which device and stream a stream is."""
    process = trace.process(PID, name)
    thread = trace.thread(process, TID, name)
    for call in log.calls:
        trace.api(call.start, call.end, call.name, thread=thread, correlation=call.correlation)
    for operation in log.operations:
        _operation(trace, operation, process, place)
    for wait in log.waits:
        device, stream = place(wait.stream)
        trace.synchronization(
            wait.start, wait.end, correlation=wait.correlation, process=process,
            sync_type=_SYNC[wait.kind], device=device, **_named(stream),
        )  # fmt: skip
    for row in log.ranges:
        trace.nvtx(row.start, row.end, row.name, thread=thread, color=row.color)


def _named(stream: int) -> dict[str, int]:
    """Its number, and a context of its own where two have that number."""
    return {"stream": recorded_number(stream), "context": 1 + context_rank(stream)}


def _operation(trace: TraceBuilder, row: Operation, process: int, place: Place) -> None:
    device, stream = place(row.stream)
    where: dict[str, Any] = {
        "correlation": row.correlation, "process": process, "device": device, **_named(stream),
    }  # fmt: skip
    node = None if row.graph is None else (row.graph << 32) + row.node + 1
    if row.kind == "graph":
        assert row.graph is not None
        trace.graph_trace(
            row.start, row.end, graph_id=row.graph, graph_exec_id=row.graph + 1, **where
        )
    elif row.kind == COPY:
        kind, source, target = _ends(row)
        trace.memcpy(
            row.start, row.end, bytes=row.size, copy_kind=kind, src_kind=source, dst_kind=target,
            graph_node=node, **where,
        )  # fmt: skip
    elif row.kind == MEMSET:
        trace.memset(row.start, row.end, bytes=row.size, graph_node=node, **where)
    else:
        trace.kernel(
            row.start, row.end, name=row.name, graph_node=node, graph_id=row.graph, **where
        )


def _ends(row: Operation) -> tuple[CopyKind, int, int]:
    host = PAGEABLE if row.pageable else PINNED
    if row.direction == ON_DEVICE:
        return CopyKind.DTOD, DEVICE, DEVICE
    if row.direction == TO_HOST:
        return CopyKind.DTOH, DEVICE, host
    return CopyKind.HTOD, host, DEVICE
