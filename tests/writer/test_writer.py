"""The trace builder: what it writes, what it refuses, and that a file appears whole or never."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.model.errors import TraceError
from harness.analysis.writer.tables import definitions
from harness.analysis.writer.writer import DEVICE, PINNED, CopyKind, TraceBuilder

Rows = list[tuple[object, ...]]


def builder(**options: object) -> TraceBuilder:
    return TraceBuilder(producer="builder", origin="synthetic", **options)  # type: ignore[arg-type]


def query(path: Path, sql: str) -> Rows:
    # immutable, as NVIDIA's tools open it: rows left in a write-ahead log would be missed
    with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as database:
        return database.execute(sql).fetchall()


def tables(path: Path) -> set[str]:
    return {str(name) for (name,) in query(path, "SELECT name FROM sqlite_master")}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    trace = builder(strategy="sync")
    process = trace.process(100)
    thread = trace.thread(process, 101, "MainThread")
    trace.device(0, name="GPU A", uuid="aaaa", memoryBandwidth=864 * 10**9)
    trace.nvtx(1_000, 9_000, "Step 0", thread=thread, color=0xFF0000FF)
    trace.launch(2_000, 5_000, 6_000, 8_000, name="gemm", thread=thread)
    trace.copy(5_100, 9_000, 8_000, 8_900, bytes=16, dst_kind=PINNED, thread=thread)
    trace.wait(9_100, 9_200, thread=thread)
    path = tmp_path / "small.sqlite"
    trace.write(path)
    return path


def test_rows_read_back(small: Path) -> None:
    process = 1 << 48 | 100 << 24
    assert query(small, "SELECT globalPid, pid, name FROM PROCESSES") == [(process, 100, "python")]
    assert query(
        small,
        "SELECT n.start, n.end, eventType, value, globalTid - globalPid, color, domainId "
        "FROM NVTX_EVENTS n JOIN StringIds s ON s.id = textId, PROCESSES",
    ) == [(1_000, 9_000, 59, "Step 0", 101, 0xFF0000FF, 0)]
    assert query(
        small,
        "SELECT k.start, k.end, r.start, r.end, d.value, a.value, k.correlationId "
        "FROM CUPTI_ACTIVITY_KIND_KERNEL k JOIN CUPTI_ACTIVITY_KIND_RUNTIME r "
        "ON r.correlationId = k.correlationId AND k.globalPid = (r.globalTid & ~0xFFFFFF) "
        "JOIN StringIds d ON d.id = demangledName JOIN StringIds a ON a.id = nameId",
    ) == [(6_000, 8_000, 2_000, 5_000, "gemm", "cudaLaunchKernel_v7000", 1)]
    assert query(
        small, "SELECT bytes, copyKind, srcKind, dstKind, streamId FROM CUPTI_ACTIVITY_KIND_MEMCPY"
    ) == [(16, CopyKind.DTOH, DEVICE, PINNED, 7)]
    assert query(small, "SELECT syncType, end FROM CUPTI_ACTIVITY_KIND_SYNCHRONIZATION") == [
        (3, 9_200)
    ]
    assert query(small, "SELECT gpuId, cudaId, pid, uuid FROM TARGET_INFO_CUDA_DEVICE") == [
        (0, 0, 100, "aaaa")
    ]
    assert query(small, "SELECT duration FROM ANALYSIS_DETAILS") == [(9_200,)]


def test_metadata_says_who_made_it(small: Path) -> None:
    assert dict(query(small, "SELECT name, value FROM META_DATA_EXPORT")) == {  # type: ignore[arg-type]
        "EXPORT_PRODUCT_NAME": "harness",
        "EXPORT_SCHEMA_VERSION": "3.24.0",
        "EXPORT_SCHEMA_VERSION_MAJOR": "3",
        "EXPORT_SCHEMA_VERSION_MINOR": "24",
        "EXPORT_SCHEMA_VERSION_MICRO": "0",
        "HARNESS_PRODUCER": "builder",
        "HARNESS_ORIGIN": "synthetic",
        "HARNESS_STRATEGY": "sync",
    }


def test_tables_without_rows_are_absent(small: Path) -> None:
    assert {"CUPTI_ACTIVITY_KIND_MEMSET", "CUPTI_ACTIVITY_KIND_GRAPH_TRACE", "OSRT_API"}.isdisjoint(
        tables(small)
    )
    assert {"StringIds", "ThreadNames", "TARGET_INFO_SESSION_START_TIME"} <= tables(small)
    assert {name for name in definitions() if name.startswith("ENUM_")} <= tables(small)


def test_every_row_method_fills_its_table(tmp_path: Path) -> None:
    trace = builder()
    process = trace.process(7)
    thread, other = trace.thread(process, 7), trace.thread(process, 8)
    trace.memset(1, 2, bytes=64, correlation=1, process=process)
    trace.graph_trace(3, 4, correlation=2, process=process, graph_id=5, graph_exec_id=6)
    trace.domain(1, "CCCL", thread=thread, time=-50)
    trace.nvtx(5, None, "open", thread=thread, domain=1)
    trace.nvtx(6, 9, "across", thread=thread, start_end=True, end_thread=other, registered=False)
    trace.mark(7, "here", thread=thread)
    trace.overhead(8, 9, "CUDA profiling data flush overhead", thread=thread, kind=3)
    trace.cuda_overhead(9, 10, "Lazy function loading", thread=thread, kind=7, correlation=1)
    trace.osrt(10, 12, "pthread_cond_wait", thread=thread)
    trace.diagnostic(-5, "Profiling has started.", severity=1, process=process)
    trace.host_function(13, 14, process=process, graph_node=1 << 32, graph_id=1)
    trace.context_switch(15, begin=True, context=30)
    trace.context(1, pid=7, hardware=30)
    trace.session_start(1_700_000_000_123_456_789)
    trace.metadata("NOTE", "by hand")
    path = tmp_path / "all.sqlite"
    trace.write(path)
    assert query(
        path,
        "SELECT start, end, eventType, rangeId, text, value, endGlobalTid - globalTid, domainId "
        "FROM NVTX_EVENTS LEFT JOIN StringIds ON id = textId ORDER BY start",
    ) == [
        (-50, None, 75, None, "CCCL", None, None, 1),
        (5, None, 59, None, None, "open", None, 1),
        (6, 9, 60, 1, "across", None, 1, 0),
        (7, None, 34, None, None, "here", None, 0),
    ]
    counts = {
        "CUPTI_ACTIVITY_KIND_MEMSET": 1,
        "CUPTI_ACTIVITY_KIND_GRAPH_TRACE": 1,
        "PROFILER_OVERHEAD": 1,
        "CUPTI_ACTIVITY_KIND_OVERHEAD": 1,
        "OSRT_API": 1,
        "CUPTI_ACTIVITY_KIND_GRAPH_HOST_NODE_AND_HOST_LAUNCH": 1,
        "GPU_CONTEXT_SWITCH_EVENTS": 1,
        "TARGET_INFO_CUDA_CONTEXT_INFO": 1,
        "DIAGNOSTIC_EVENT": 1,
    }
    assert {name: query(path, f"SELECT COUNT(*) FROM {name}")[0][0] for name in counts} == counts
    assert query(path, "SELECT * FROM TARGET_INFO_SESSION_START_TIME") == [
        (1_700_000_000_123_456_789, "2023-11-14T22:13:20", "2023-11-14T22:13:20")
    ]
    assert ("NOTE", "by hand") in query(path, "SELECT * FROM META_DATA_EXPORT")


def test_one_gpu_seen_by_two_processes_under_one_ordinal(tmp_path: Path) -> None:
    trace = builder()
    for pid in (1, 2):
        trace.thread(trace.process(pid), pid)
    trace.device(0, name="A", uuid="aaaa", pid=1)
    trace.device(0, name="B", uuid="bbbb", pid=2)
    trace.device(1, name="A", uuid="aaaa", pid=2)
    trace.write(tmp_path / "t.sqlite")
    assert query(tmp_path / "t.sqlite", "SELECT id, uuid FROM TARGET_INFO_GPU ORDER BY id") == [
        (0, "aaaa"),
        (1, "bbbb"),
    ]
    assert query(
        tmp_path / "t.sqlite", "SELECT pid, cudaId, gpuId, uuid FROM TARGET_INFO_CUDA_DEVICE"
    ) == [(1, 0, 0, "aaaa"), (2, 0, 1, "bbbb"), (2, 1, 0, "aaaa")]


def test_bulk_equals_row_by_row(tmp_path: Path) -> None:
    def finish(trace: TraceBuilder, name: str) -> list[str]:
        trace.write(tmp_path / name)
        with closing(sqlite3.connect(tmp_path / name)) as database:
            return list(database.iterdump())

    start = np.arange(0, 100_000, 10)
    one, many = builder(), builder()
    for trace in (one, many):
        trace.thread(trace.process(1), 1)
    thread = 1 << 48 | 1 << 24 | 1
    process = thread & ~0xFFFFFF
    for index, time in enumerate(start):
        one.api(time, time + 4, "cudaLaunchKernel", thread=thread, correlation=index)
        one.kernel(time + 5, time + 9, name="k", correlation=index, process=process)
    many.bulk(
        "CUPTI_ACTIVITY_KIND_RUNTIME",
        start=start,
        end=start + 4,
        globalTid=thread,
        eventClass=0,
        correlationId=np.arange(len(start)),
        nameId=many.string("cudaLaunchKernel"),
        returnValue=0,
    )
    rows = many.bulk(
        "CUPTI_ACTIVITY_KIND_KERNEL",
        start=list(map(int, start + 5)),
        end=start + 9,
        deviceId=0,
        contextId=1,
        streamId=7,
        correlationId=np.arange(len(start), dtype=np.uint32),
        globalPid=np.full(len(start), process),
        demangledName=many.string("k"),
        shortName=many.string("k"),
        launchType=1,
        **dict.fromkeys(("gridX", "gridY", "gridZ", "blockX", "blockY", "blockZ"), 1),
    )
    assert rows == len(start)
    assert finish(one, "one.sqlite") == finish(many, "many.sqlite")


def test_same_input_same_bytes(tmp_path: Path, small: Path) -> None:
    again = tmp_path / "again.sqlite"
    trace = builder(strategy="sync")
    thread = trace.thread(trace.process(100), 101, "MainThread")
    trace.device(0, name="GPU A", uuid="aaaa", memoryBandwidth=864 * 10**9)
    trace.nvtx(1_000, 9_000, "Step 0", thread=thread, color=0xFF0000FF)
    trace.launch(2_000, 5_000, 6_000, 8_000, name="gemm", thread=thread)
    trace.copy(5_100, 9_000, 8_000, 8_900, bytes=16, dst_kind=PINNED, thread=thread)
    trace.wait(9_100, 9_200, thread=thread)
    trace.write(again)
    assert again.read_bytes() == small.read_bytes()
    trace.write(again, force=True)
    assert again.read_bytes() == small.read_bytes()
    assert query(again, "PRAGMA integrity_check") == [("ok",)]


def bad_rows(trace: TraceBuilder) -> dict[str, object]:
    process = trace.process(1)
    thread = trace.thread(process, 1)
    kernel = {"name": "k", "correlation": 1, "process": process}
    runtime = "CUPTI_ACTIVITY_KIND_RUNTIME"
    return {
        "end before start": lambda: trace.kernel(9, 5, **kernel),
        "negative start": lambda: trace.kernel(-9, 5, **kernel),
        "NULL end": lambda: trace.kernel(1, None, **kernel),
        "unknown process": lambda: trace.kernel(1, 2, **{**kernel, "process": 77}),
        "unknown thread": lambda: trace.nvtx(1, 2, "x", thread=process),
        "unknown end thread": lambda: trace.nvtx(1, 2, "x", thread=thread, end_thread=5),
        "huge time": lambda: trace.api(1, 2**62, "x", thread=thread),
        "bulk end before start": lambda: trace.bulk(
            runtime, start=np.array([1, 5]), end=np.array([2, 4]), globalTid=thread, nameId=1
        ),
        "bulk end before a repeated start": lambda: trace.bulk(
            runtime, start=3, end=np.array([4, 2]), globalTid=thread, nameId=1
        ),
        "bulk start after a repeated end": lambda: trace.bulk(
            runtime, start=[1, 5], end=4, globalTid=thread, nameId=1
        ),
        "bulk unknown thread": lambda: trace.bulk(
            runtime, start=[1], end=[2], globalTid=99, nameId=1
        ),
        "bulk negative": lambda: trace.bulk(
            runtime, start=[-1], end=[2], globalTid=thread, nameId=1
        ),
    }


@pytest.mark.parametrize("name", list(bad_rows(builder())))
def test_bad_row_is_refused_in_one_line_unless_allowed(name: str, tmp_path: Path) -> None:
    with pytest.raises(TraceError) as error:
        bad_rows(builder())[name]()  # type: ignore[operator]
    assert "\n" not in str(error.value)
    lax = builder(allow_invalid=True)
    bad_rows(lax)[name]()  # type: ignore[operator]
    lax.write(tmp_path / "bad.sqlite")


@pytest.mark.parametrize(
    ("message", "act"),
    [
        ("is not a table", lambda t: t.bulk("NOPE", start=[1])),
        ("no column nope", lambda t: t.bulk("NVTX_EVENTS", nope=[1])),
        ("one length", lambda t: t.bulk("NVTX_EVENTS", start=[1], end=[1, 2])),
        ("single values only", lambda t: t.bulk("NVTX_EVENTS", start=1)),
        ("needs integers", lambda t: t.bulk("NVTX_EVENTS", start=np.array([1.5]))),
        ("needs an integer", lambda t: t.api(1, 2.5, "x", thread=t.thread(t.process(1), 1))),
        ("64-bit", lambda t: t.api(1, 2, "x", thread=t.thread(t.process(1), 1), correlation=2**63)),
        ("24 bits", lambda t: t.process(1 << 24)),
        ("is not a registered process", lambda t: t.thread(5, 1)),
        ("the builder itself", lambda t: t.metadata("HARNESS_ORIGIN", "measured")),
        ("origin is", lambda t: TraceBuilder(producer="x", origin="real")),
    ],
)
def test_misuse_is_one_line(message: str, act: object) -> None:
    with pytest.raises(TraceError, match=message) as error:
        act(builder())  # type: ignore[operator]
    assert "\n" not in str(error.value)


def test_nothing_is_overwritten_without_force(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    path.write_text("precious")
    with pytest.raises(TraceError, match=r"already exists; .*--force"):
        builder().write(path)
    assert path.read_text() == "precious"
    builder().write(path, force=True)
    assert query(path, "SELECT COUNT(*) FROM StringIds") == [(0,)]


def test_failure_leaves_no_file(tmp_path: Path) -> None:
    trace = builder()
    trace.process(1, name="lone surrogate \ud800")
    with pytest.raises(TraceError, match="could not be written"):
        trace.write(tmp_path / "t.sqlite")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        builder().write(tmp_path / "missing" / "t.sqlite")


@pytest.mark.parametrize(
    "text", ["line\nbreak", "\x1b[31mred\x1b[0m", "x" * 10_000, "", "日本", "a\0b"]
)
def test_any_text_survives(text: str, tmp_path: Path) -> None:
    trace = builder()
    thread = trace.thread(trace.process(1), 1)
    trace.nvtx(1, 2, text, thread=thread)
    trace.nvtx(1, 2, text, thread=thread, registered=False)
    trace.write(tmp_path / "t.sqlite")
    assert query(
        tmp_path / "t.sqlite",
        "SELECT COALESCE(value, text) FROM NVTX_EVENTS LEFT JOIN StringIds ON id = textId",
    ) == [(text,), (text,)]
