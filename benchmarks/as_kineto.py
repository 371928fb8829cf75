#!/usr/bin/env python
"""Write the kernels, copies, CUDA calls and ranges of an Nsight export as torch.profiler would.

    python benchmarks/as_kineto.py big.sqlite big.json

For tools that read nothing but torch.profiler's traces: the same work, in the same order, at the
same times, under the same correlation ids. Times before 0 do not occur in such a trace, so the
first event is at 1 ms.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path


def events(database: sqlite3.Connection) -> Iterator[str]:
    """One JSON object for each row; times in microseconds with three decimals."""
    names = dict(database.execute("SELECT id, value FROM StringIds"))
    tables = {name for (name,) in database.execute("SELECT name FROM sqlite_master")}
    edges = (
        database.execute(f"SELECT MIN(start) FROM {table}").fetchone()[0]
        for table in ("CUPTI_ACTIVITY_KIND_RUNTIME", "NVTX_EVENTS")
        if table in tables
    )
    shift = 1_000_000 - min(edge for edge in edges if edge is not None)
    quoted = {key: json.dumps(value) for key, value in names.items()}

    def event(kind: str, name: str, start: int, length: int, pid: int, tid: int, args: str) -> str:
        at = start + shift
        return (
            f'{{"ph":"X","cat":"{kind}","name":{name},"pid":{pid},"tid":{tid},'
            f'"ts":{at // 1000}.{at % 1000:03},"dur":{length // 1000}.{length % 1000:03},'
            f'"args":{{{args}}}}}'
        )

    for kind, table, named in (
        ("kernel", "CUPTI_ACTIVITY_KIND_KERNEL", "shortName"),
        ("gpu_memcpy", "CUPTI_ACTIVITY_KIND_MEMCPY", "-1"),
    ):
        if table not in tables:
            continue
        query = (
            f"SELECT {named}, start, end - start, deviceId, streamId, correlationId FROM {table}"
        )
        for name, start, length, device, stream, correlation in database.execute(query):
            args = f'"device":{device},"stream":{stream},"correlation":{correlation}'
            text = quoted.get(name, '"Memcpy HtoD (Pageable -> Device)"')
            yield event(kind, text, start, length, device, stream, args)
    query = (
        "SELECT nameId, start, end - start, globalTid, correlationId "
        "FROM CUPTI_ACTIVITY_KIND_RUNTIME"
    )
    for name, start, length, thread, correlation in database.execute(query):
        text = json.dumps(names[name].partition("_v")[0])
        args = f'"correlation":{correlation}'
        yield event("cuda_runtime", text, start, length, _pid(thread), _tid(thread), args)
    query = (
        "SELECT COALESCE(text, (SELECT value FROM StringIds WHERE id = textId)), start, "
        "end - start, globalTid FROM NVTX_EVENTS WHERE eventType = 59 AND end IS NOT NULL"
    )
    for name, start, length, thread in database.execute(query):
        text = json.dumps(name or "")
        yield event("user_annotation", text, start, length, _pid(thread), _tid(thread), "")


def _pid(thread: int) -> int:
    return thread >> 24 & 0xFFFFFF


def _tid(thread: int) -> int:
    return thread & 0xFFFFFF


def main(source: str, target: str) -> None:
    uri = f"{Path(source).absolute().as_uri()}?mode=ro&immutable=1"
    with closing(sqlite3.connect(uri, uri=True)) as database, open(target, "w") as file:
        devices = [{"id": 0, "name": "GPU"}]
        head = {"schemaVersion": 1, "deviceProperties": devices, "traceName": target}
        file.write(json.dumps(head)[:-1] + ', "traceEvents": [\n')
        for k, event in enumerate(events(database)):
            file.write((",\n" if k else "") + event)
        file.write("\n]}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
