"""Small files made to cost much: each would stall a reader that trusts a file's own structure."""

from __future__ import annotations

import json
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

from harness.analysis.writer.writer import TraceBuilder

SMALL = 512 << 10
"""Bytes: what the promise of ten seconds calls a small file."""

ROWS = 3700


def _sqlite(fill: Callable[[sqlite3.Connection], None], page: int = 4096) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bomb.sqlite"
        trace = TraceBuilder(producer="builder", origin="synthetic")
        trace.thread(trace.process(100), 100)
        trace.write(path)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA page_size = {page}")
            connection.execute("VACUUM")
            with connection:
                fill(connection)
            connection.execute("VACUUM")
        return path.read_bytes()


_KERNEL = "start, end, deviceId, streamId, correlationId, globalPid, shortName"
_CALL = "start, end, globalTid, correlationId, nameId"


def _loop(
    rows: int = ROWS, *, device: str = "0", stream: str = "7", thread: str = "100",
    process: str = "100", name: str = "1", step: str = "'Step ' || k",
) -> bytes:  # fmt: skip
    """A step, a call and a kernel for each `k`; the arguments are SQL."""

    def fill(c: sqlite3.Connection) -> None:
        c.executescript(
            f"""
            CREATE TABLE n(k INTEGER PRIMARY KEY);
            INSERT INTO n WITH RECURSIVE r(k) AS
              (SELECT 0 UNION ALL SELECT k + 1 FROM r WHERE k < {rows - 1}) SELECT k FROM r;
            CREATE TABLE CUPTI_ACTIVITY_KIND_KERNEL({_KERNEL});
            CREATE TABLE CUPTI_ACTIVITY_KIND_RUNTIME({_CALL}, returnValue);
            CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text);
            INSERT INTO CUPTI_ACTIVITY_KIND_KERNEL SELECT k * 1000 + 400, k * 1000 + 600,
              {device}, {stream}, k + 1, ({process}) << 24, {name} FROM n;
            INSERT INTO CUPTI_ACTIVITY_KIND_RUNTIME SELECT k * 1000 + 100, k * 1000 + 200,
              (({process}) << 24) + ({thread}), k + 1, {name}, 0 FROM n;
            INSERT INTO NVTX_EVENTS SELECT k * 1000, k * 1000 + 700, 59,
              (({process}) << 24) + ({thread}), {step} FROM n;
            INSERT INTO StringIds SELECT k + 10, 'cudaLaunchKernel' || k FROM n;
            DROP TABLE n;
            """
        )

    return _sqlite(fill)


def a_device_each() -> bytes:
    return _loop(device="k")


def a_stream_each() -> bytes:
    return _loop(stream="k")


def a_thread_each() -> bytes:
    return _loop(thread="k + 1")


def a_process_each() -> bytes:
    return _loop(process="k + 1")


def a_process_and_device_each() -> bytes:
    return _loop(process="k + 1", device="k")


def a_thread_and_device_each() -> bytes:
    return _loop(thread="k + 1", device="k")


def a_thread_each_without_steps() -> bytes:
    return _loop(thread="k + 1", step="'x' || k")


def a_process_each_without_steps() -> bytes:
    return _loop(process="k + 1", step="'x' || k")


def as_many_devices_as_allowed() -> bytes:
    return _loop(device="k % 64", step="'x' || k")


def as_many_pairs_as_allowed() -> bytes:
    return _loop(thread="k % 16 + 1", device="k / 16 % 8")


def as_many_series_as_allowed() -> bytes:
    return _loop(thread="k % 128 + 1")


def a_name_each() -> bytes:
    return _loop(name="k + 10", step="'range ' || char(97 + k % 26) || k")


def every_step_on_every_device() -> bytes:
    return _loop(thread="k % 64 + 1", device="k % 63")


def nested_ranges() -> bytes:
    def fill(c: sqlite3.Connection) -> None:
        c.execute("CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text)")
        c.execute(
            f"INSERT INTO NVTX_EVENTS WITH RECURSIVE r(k) AS (SELECT 0 UNION ALL SELECT k + 1 "
            f"FROM r WHERE k < 12000) SELECT k, 1000000 - k, 59, {100 << 24 | 100}, 'Step ' || k "
            f"FROM r"
        )

    return _sqlite(fill)


def crossing_ranges() -> bytes:
    """Start/end ranges, all of them open at once."""

    def fill(c: sqlite3.Connection) -> None:
        c.execute("CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text)")
        c.execute(
            f"INSERT INTO NVTX_EVENTS WITH RECURSIVE r(k) AS (SELECT 0 UNION ALL SELECT k + 1 "
            f"FROM r WHERE k < 12000) SELECT k, 100000 + k, 60, {100 << 24 | 100}, 'Step ' || k "
            f"FROM r"
        )

    return _sqlite(fill)


def one_long_name() -> bytes:
    def fill(c: sqlite3.Connection) -> None:
        c.execute("CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, textId)")
        c.execute("INSERT INTO StringIds VALUES (99, ?)", ("Step " + "9" * 450_000,))
        c.execute(f"INSERT INTO NVTX_EVENTS VALUES (1, 9, 59, {100 << 24 | 100}, 99)")

    return _sqlite(fill)


def many_tables() -> bytes:
    def fill(c: sqlite3.Connection) -> None:
        made = "; ".join(f"CREATE TABLE NVTX_EVENTS_{k}(start, end)" for k in range(700))
        c.executescript(f"BEGIN; {made}; COMMIT")
        c.execute("CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text)")

    return _sqlite(fill, 512)


def many_columns() -> bytes:
    def fill(c: sqlite3.Connection) -> None:
        extra = ", ".join(f"c{k}" for k in range(1900))
        c.execute(f"CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text, {extra})")
        for k in range(40):
            c.execute(f"INSERT INTO NVTX_EVENTS(start, end, eventType) VALUES ({k}, {k + 1}, 59)")

    return _sqlite(fill)


def _interior(children: list[int], page: int) -> bytes:
    """A page of a table's b-tree that points to others (numbers from 1)."""
    *left, right = children
    pointers, cells = b"", b""
    at = page
    for key, child in enumerate(left):
        cell = child.to_bytes(4, "big") + bytes([min(key, 127)])
        at -= len(cell)
        cells = cell + cells
        pointers += at.to_bytes(2, "big")
    head = bytes([5, 0, 0]) + len(left).to_bytes(2, "big") + at.to_bytes(2, "big") + b"\x00"
    head += right.to_bytes(4, "big") + pointers
    return head + bytes(page - len(head) - len(cells)) + cells


def _doubling(root: int, data: bytes, page: int, levels: int) -> bytes:
    """Make the table at `root` a tower of pages that each point twice to the next one."""
    pages = [data[k : k + page] for k in range(0, len(data), page)]
    leaf = pages[root - 1]
    first = len(pages) + 1
    pages[root - 1] = _interior([first] * 50, page)
    for level in range(levels):
        pages.append(_interior([first + level + 1] * 50, page))
    pages.append(leaf)
    head = bytearray(b"".join(pages))
    head[28:32] = len(pages).to_bytes(4, "big")
    return bytes(head)


def _root_of(data: bytes, table: str) -> int:
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.deserialize(data)
        query = f"SELECT rootpage FROM sqlite_master WHERE name = '{table}'"
        return int(connection.execute(query).fetchone()[0])


def _tower(table: str, where: str = "59") -> bytes:
    def fill(c: sqlite3.Connection) -> None:
        c.execute("CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text)")
        for k in range(9):
            c.execute(f"INSERT INTO NVTX_EVENTS VALUES ({k}, {k + 1}, {where}, 7, 'x')")

    data = _sqlite(fill, 1024)
    return _doubling(_root_of(data, table), data, 1024, 15)


def shared_pages() -> bytes:
    """A b-tree whose pages point fifty times to the same next page: 50^16 rows in 30 KiB."""
    return _tower("NVTX_EVENTS")


def shared_pages_without_a_row() -> bytes:
    """The same where no row is wanted, so that nothing comes back to count."""
    return _tower("NVTX_EVENTS", "75")


def shared_pages_of_strings() -> bytes:
    return _tower("StringIds")


def shared_texts() -> bytes:
    """Thousands of rows whose long texts lie on the same overflow pages."""
    page, rows, size = 4096, 3000, 200_000

    def fill(c: sqlite3.Connection) -> None:
        c.execute("CREATE TABLE NVTX_EVENTS(start, end, eventType, globalTid, text)")
        c.execute("INSERT INTO NVTX_EVENTS VALUES (1, 2, 59, 7, ?)", ("y" * size,))
        for k in range(rows):
            c.execute(f"INSERT INTO NVTX_EVENTS VALUES ({k}, {k + 1}, 59, 7, ?)", (f"{k:0>50}",))

    data = bytearray(_sqlite(fill, page))
    root = _root_of(bytes(data), "NVTX_EVENTS")
    long_cell, long_page = b"", 0
    leaves = []
    for number in range(1, len(data) // page + 1):
        at = (number - 1) * page
        if data[at] == 13 and number != 1:
            first = at + int.from_bytes(data[at + 8 : at + 10], "big")
            if data[first] > 0x80 and b"yyyy" in data[first : first + 1000]:
                long_page = number
                size_of = 3 if data[first + 2] < 0x80 else 4
                local = data.index(b"y", first) - first
                end = first + local
                while data[end] == ord("y"):
                    end += 1
                long_cell = bytes(data[first : end + 4])
                assert size_of
            else:
                leaves.append(number)
    assert root
    assert long_page
    assert len(long_cell) < page
    # In the leaf of the long text, every cell pointer comes to mean that one cell.
    at = (long_page - 1) * page
    place = data[at + 8 : at + 10]
    room = (int.from_bytes(place, "big") - 8) // 2
    count = min(room, 400)
    data[at + 3 : at + 5] = count.to_bytes(2, "big")
    data[at + 8 : at + 8 + 2 * count] = place * count
    return bytes(data)


# JSON


def _events(events: Iterator[str]) -> bytes:
    return ('{"traceEvents":[' + ",".join(events) + "]}").encode()


def a_track_each() -> bytes:
    return _events(
        f'{{"ph":"X","cat":"cpu_op","name":"a","pid":{k},"tid":{k},"ts":{k},"dur":1}}'
        for k in range(6_500)
    )


def a_process_each_in_json() -> bytes:
    return _events(
        f'{{"ph":"X","cat":"{cat}","name":"Step {k}","pid":{k},"tid":1,"ts":{k},"dur":1,'
        f'"args":{{"correlation":{k},"device":0}}}}'
        for k in range(1300)
        for cat in ("cuda_runtime", "kernel", "user_annotation")
    )


def a_device_each_in_json() -> bytes:
    return _events(
        f'{{"ph":"X","cat":"{cat}","name":"Step {k}","pid":1,"tid":{k},"ts":{k},"dur":1,'
        f'"args":{{"correlation":{k},"device":{k}}}}}'
        for k in range(1300)
        for cat in ("cuda_runtime", "kernel", "user_annotation")
    )


def long_numbers() -> bytes:
    return _events(
        f'{{"ph":"X","cat":"kernel","name":"a","pid":0,"tid":7,"ts":{"9" * 4000}.5,"dur":1e9999}}'
        for k in range(100)
    )


def one_long_number() -> bytes:
    return _events(
        f'{{"ph":"X","cat":"kernel","name":"a","pid":{"9" * 200_000},"tid":7,"ts":{"9" * 200_000}'
        f'.5,"dur":1}}'
        for k in range(1)
    )


def many_heads() -> bytes:
    return b'{"a":' + b'[{"traceEvents":[],"b":' * 20_000


def deep() -> bytes:
    return b'{"traceEvents":[' + b"[" * 450_000


def backslashes() -> bytes:
    return b'{"traceEvents":[{"name":"' + b"\\" * 450_000


def blanks() -> bytes:
    return b'{"traceEvents":[' + b" " * 450_000


def quotes() -> bytes:
    return b'{"traceEvents":[{' + b'":' * 450_000


def bare_words() -> bytes:
    return b'{"traceEvents":[{"a": ' + b'"b": nan' * 60_000


def deep_values() -> bytes:
    nested = "[" * 20_000 + "]" * 20_000
    return _events(
        f'{{"ph":"X","cat":"kernel","name":{nested},"pid":0,"tid":7,"ts":{k},"dur":1}}'
        for k in range(9)
    )


SQLITE: tuple[Callable[[], bytes], ...] = (
    a_device_each, a_stream_each, a_thread_each, a_process_each, a_process_and_device_each,
    a_thread_and_device_each, a_thread_each_without_steps, a_process_each_without_steps,
    as_many_devices_as_allowed, as_many_pairs_as_allowed, as_many_series_as_allowed, a_name_each,
    every_step_on_every_device, nested_ranges, crossing_ranges, one_long_name,
    many_tables, many_columns, shared_pages,
    shared_pages_without_a_row, shared_pages_of_strings, shared_texts,
)  # fmt: skip
JSON: tuple[Callable[[], bytes], ...] = (
    a_track_each, a_process_each_in_json, a_device_each_in_json, long_numbers, one_long_number,
    many_heads, deep, backslashes, blanks, quotes, bare_words, deep_values,
)  # fmt: skip


def manifest_like() -> bytes:
    """For readers of plain JSON: nothing but depth."""
    return json.dumps({"manifest_version": 1}).encode()[:-1] + b', "origin": ' + b"[" * 500_000
