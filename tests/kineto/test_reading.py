"""Hand-made torch.profiler traces: every event kind, number and layout, and what is read of it."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.model.schema import NULL, CopyKind, Kind, SyncType
from harness.analysis.model.trace import Trace
from harness.analysis.readers.kineto import stream as kineto_stream
from harness.analysis.readers.kineto.columns import WILD, nanoseconds
from harness.analysis.readers.kineto.names import copy_kind
from harness.analysis.readers.kineto.stream import EventStream
from harness.analysis.readers.open import open_trace

from .kineto_json import Event, Raw, dumped, event, kineto_2_11, kineto_2_13, launch

LAYOUTS = {
    "kineto 2.11": kineto_2_11,
    "kineto 2.13": kineto_2_13,
    "one line": dumped(),
    "no spaces": dumped(separators=(",", ":")),
    "indent 1": dumped(indent=1),
    "indent 2": dumped(indent=2),
    "indent 4": dumped(indent=4),
}


def opened(folder: Path, data: bytes, name: str = "t.json") -> Trace:
    path = folder / name
    path.write_bytes(data)
    return open_trace(path)


def small_loop() -> list[Event]:
    """Two steps of one kernel and one flag copy, by hand."""
    made = [
        {"name": "thread_name", "ph": "M", "ts": Raw("0.000"), "pid": 100, "tid": 100,
         "args": {"name": "thread 100 (python)"}},
        {"ph": "X", "cat": "Trace", "name": "PyTorch Profiler (0)", "pid": "Spans",
         "tid": "PyTorch Profiler", "ts": Raw("1.000"), "dur": Raw("8000.000"),
         "args": {"Op count": 0}},
    ]  # fmt: skip
    for k in range(2):
        t = 10_000 + k * 100_000
        made += [
            event("user_annotation", f"ProfilerStep#{k}", t, t + 90_001, 100, 100),
            event("gpu_user_annotation", f"ProfilerStep#{k}", t, t + 90_001, 0, 7),
            *launch("gemm", (t + 1_000, t + 5_000), (t + 9_000, t + 40_003), 10 * k + 1),
            *launch("Memcpy DtoH (Device -> Pageable)", (t + 6_000, t + 50_000),
                    (t + 41_000, t + 43_000), 10 * k + 2, cat="gpu_memcpy", api="cudaMemcpyAsync"),
            {"ph": "s", "id": 10 * k + 1, "pid": 100, "tid": 100, "ts": Raw("11.000"),
             "cat": "ac2g", "name": "ac2g"},
        ]  # fmt: skip
    return made


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("zipped", [False, True])
def test_every_layout_reads_the_same(tmp_path: Path, layout, zipped: bool) -> None:
    data = layout(small_loop())
    trace = opened(tmp_path, gzip.compress(data) if zipped else data)
    o = trace.operations
    # Time 0 is the start of the profiler's span, at 1 µs.
    assert o.start.tolist() == [18_000, 50_000, 118_000, 150_000]
    assert o.end.tolist() == [49_003, 52_000, 149_003, 152_000]
    assert [Kind(k) for k in o.kind] == [Kind.KERNEL, Kind.MEMCPY] * 2
    assert o.copy_kind.tolist() == [0, CopyKind.DTOH, 0, CopyKind.DTOH]
    assert o.stream.tolist() == [7] * 4
    assert o.launch.tolist() == [0, 1, 2, 3]
    assert trace.calls.names == ("cudaLaunchKernel", "cudaMemcpyAsync")
    assert [trace.strings[i] for i in trace.ranges.name] == ["ProfilerStep#0", "ProfilerStep#1"]
    assert (trace.ranges.end - trace.ranges.start).tolist() == [90_001] * 2
    assert [d.label for d in trace.devices] == ["GPU 0 (NVIDIA H100 80GB HBM3)"]
    assert [(t.pid, t.tid, t.name) for t in trace.threads] == [(100, 100, "python")]
    assert trace.source.producer == "torch.profiler"
    assert trace.source.origin == "measured"
    assert trace.source.session_start_utc_ns == 1790857026000000000 + 1_000
    assert trace.source.duration_ns == 9_000_000 - 1_000


ODD_TEXT = st.text(st.sampled_from('ab"\\{}[],:\n é\U0001f600'), max_size=12)


@settings(max_examples=150, deadline=None)
@given(
    names=st.lists(ODD_TEXT, min_size=1, max_size=12),
    layout=st.sampled_from(list(LAYOUTS)),
    block=st.integers(1, 400),
    key=ODD_TEXT,
)
def test_pieces_of_any_size_give_the_same_events(
    names: list[str], layout: str, block: int, key: str
) -> None:
    made = [event("user_annotation", name, 5, 9, 1, 2, note=name) for name in names]
    head = f'\n  {json.dumps(key)}: {{"traceEvents": [{{}}]}},'
    data = LAYOUTS[layout](made, head)
    old = kineto_stream._BLOCK
    kineto_stream._BLOCK = block
    try:
        stream = EventStream(Path("t.json"), whole_head=True)
        stream._blocks = iter([data[i : i + block] for i in range(0, len(data), block)])
        read = [e.name for piece in stream for e in piece]
    finally:
        kineto_stream._BLOCK = old
    assert read == [*names, "Record Window End"]
    assert stream.metadata["traceName"] == "t"


@pytest.mark.parametrize("key", ["anything", "deviceProperties"])
@pytest.mark.parametrize("place", ["head", "tail"])
def test_what_stands_beside_the_events_takes_no_more_memory_than_its_text(
    tmp_path: Path, key: str, place: str
) -> None:
    """A list is two bytes as text, and 56 as an object of Python."""
    lists = f'"{key}": [' + ",".join(["[]"] * 4_000_000) + "]"
    one = '{"ph": "X", "cat": "user_annotation", "name": "Step 1", "ts": 5, "dur": 9}'
    events = f'"traceEvents": [{one}]'
    parts = (lists, events) if place == "head" else (events, lists)
    path = tmp_path / "t.json"
    path.write_text("{" + ", ".join(parts) + "}")
    tracemalloc.start()
    read = [e.name for piece in EventStream(path) for e in piece]
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert read == ["Step 1"]
    assert most < 8 * path.stat().st_size


@given(st.integers(-(10**18), 2 * 10**18))
def test_three_decimals_are_exact(ns: int) -> None:
    sign, size = ("-", -ns) if ns < 0 else ("", ns)
    assert nanoseconds(f"{sign}{size // 1000}.{size % 1000:03}".encode()) == ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        (b"4613307516141.939", 4613307516141939),
        (b"1666149715033200", 1666149715033200000),
        (b"0.5", 500),
        (b"-0.001", -1),
        (b"1.5e3", 1_500_000),
        (b"2E-3", 2),
        (b"12.3456", 12_346),
        (b'"1001.500"', 1_001_500),
        (b"1e400", WILD),
        (b"-1e400", WILD),
        (b"9" * 5000, WILD),
        (b"null", NULL),
        (b"", NULL),
        (b"true", NULL),
        (b'"soon"', NULL),
        (b"[1]", NULL),
    ],
)
def test_numbers(text: bytes, ns: int) -> None:
    assert nanoseconds(text) == ns


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Memcpy HtoD (Pageable -> Device)", 1),
        ("Memcpy DtoH (Device -> Pinned)", 2),
        ("Memcpy DtoD (Device -> Device)", 8),
        ("Memcpy PtoP (Device -> Device)", 10),
        ("Memcpy DtoH (Device -> Host)", 2),
        ("CopyDeviceToHost", 2),
        ("Memcpy ? (? -> ?)", 0),
        (17, 0),
    ],
)
def test_copy_kinds(name: object, kind: int) -> None:
    assert copy_kind(name) == kind


def test_synchronisation_rows(tmp_path: Path) -> None:
    made = [
        *launch("k", (1_000, 2_000), (3_000, 4_000), 1),
        event("cuda_runtime", "cudaStreamWaitEvent", 5_000, 6_000, 100, 100, correlation=2),
        event("cuda_sync", "Stream Wait Event", 5_100, 5_200, 0, 9, cuda_sync_kind="x",
              wait_on_stream=7, stream=9, correlation=2, device=0, context=1),
        event("cuda_sync", "Context Sync", 7_000, 8_000, 0, 1, stream=-1, correlation=3, device=0),
    ]  # fmt: skip
    waits = opened(tmp_path, kineto_2_11(made)).synchronizations
    assert [SyncType(k) for k in waits.kind] == [SyncType.STREAM_WAIT_EVENT, SyncType.CONTEXT]
    assert waits.stream.tolist() == [9, -1]
    assert waits.call.tolist() == [1, -1]


def test_peer_copy(tmp_path: Path) -> None:
    made = launch("k", (1_000, 2_000), (3_000, 4_000), 1)
    made.append(
        event("gpu_memcpy", "Memcpy PtoP (Device -> Device)", 5_000, 6_000, 1, 7, fromDevice=0,
              inDevice=1, toDevice=1, stream=7, correlation=2, bytes=4)
    )  # fmt: skip
    assert opened(tmp_path, kineto_2_11(made)).operations.peer.tolist() == [False, True]


def test_operators_name_only_what_nobody_annotated(tmp_path: Path) -> None:
    made = [
        event("user_annotation", "ProfilerStep#0", 0, 100_000, 100, 100),
        event("cpu_op", "aten::linear", 1_000, 20_000, 100, 100),
        event("cpu_op", "aten::addmm", 2_000, 19_000, 100, 100),  # inside another operator
        event("user_annotation", "Check", 30_000, 60_000, 100, 100),
        event("cpu_op", "aten::item", 31_000, 50_000, 100, 100),  # inside the user's own range
        event("cpu_op", "aten::add", 70_000, 80_000, 100, 100),
        event("cpu_op", "MulBackward0", 5_000, 9_000, 100, 200),
        *launch("k", (71_000, 72_000), (73_000, 74_000), 1),
    ]
    trace = opened(tmp_path, kineto_2_11(made))
    r = trace.ranges
    named = {(trace.strings[i], int(d)) for i, d in zip(r.name, r.domain, strict=True)}
    assert named == {
        ("ProfilerStep#0", 0), ("Check", 0), ("aten::linear", 1), ("aten::add", 1),
        ("MulBackward0", 1),
    }  # fmt: skip


def test_cuda_graph_kernels_share_their_launch(tmp_path: Path) -> None:
    made = launch("a", (1_000, 9_000), (10_000, 11_000), 5, api="cudaGraphLaunch")
    made.append(event("kernel", "b", 12_000, 13_000, 0, 7, device=0, stream=7, correlation=5))
    assert opened(tmp_path, kineto_2_11(made)).operations.launch.tolist() == [0, 0]


def test_rocm(tmp_path: Path) -> None:
    """What Kineto writes with roctracer and rocprofiler-sdk: other names, strings for numbers."""
    from harness.analysis.model.cuda_calls import allocating, synchronizing

    made = [
        event("cuda_runtime", "hipMalloc", 500, 900, 100, 100, cid=1, correlation=9, ptr="0x7f"),
        event("cuda_runtime", "hipLaunchKernel", 1_000, 2_000, 100, 100, kernel="k", cid=2,
              correlation=10, grid=[1, 1, 1], block=[64, 1, 1]),
        event("kernel", "Cijk_Ailk", 3_000, 5_000, 2, 0, device=2, stream=0, correlation=10,
              kind="Dispatch Kernel"),
        event("cuda_runtime", "hipMemcpyWithStream", 2_500, 9_000, 100, 100, cid=3,
              correlation=11, src="0x1", dst="0x2", bytes="4", kind="2"),
        event("gpu_memcpy", "Memcpy DtoH (Device -> Host)", 6_000, 8_000, 2, 0, device=2,
              stream="0x5617a0", correlation=11, kind="DtoH", bytes=4),
        event("cuda_runtime", "hipDeviceSynchronize", 9_100, 9_500, 100, 100, cid=4,
              correlation=12),
        event("kernel", "far", 9_600, 9_700, 2, 2**64 - 8, device=2, stream=2**64 - 8,
              correlation=13),
    ]  # fmt: skip
    trace = opened(tmp_path, kineto_2_11(made))
    o = trace.operations
    assert o.launch.tolist() == [1, 2, -1]
    assert o.stream[:2].tolist() == [0, 0x5617A0]
    assert o.stream[2] < -1
    assert [d.ordinal for d in trace.devices] == [2]
    assert allocating(trace.calls).tolist() == [True, False, False, False]
    assert synchronizing(trace).tolist() == [False, False, True, True]


def test_before_pytorch_1_12(tmp_path: Path) -> None:
    """Whole microseconds since the epoch, capital categories, steps among the operators."""
    at = 1_666_149_715_000_000
    made = [
        {"ph": "X", "cat": "Operator", "name": "ProfilerStep#1", "pid": 9, "tid": "9",
         "ts": at, "dur": 50},
        {"ph": "X", "cat": "Operator", "name": "aten::mm", "pid": 9, "tid": "9",
         "ts": at + 1, "dur": 20},
        {"ph": "X", "cat": "Runtime", "name": "cudaLaunchKernel", "pid": 9, "tid": "9",
         "ts": at + 2, "dur": 4, "args": {"cbid": 211, "correlation": 3}},
        {"ph": "X", "cat": "Kernel", "name": "gemm", "pid": 0, "tid": "stream 7", "ts": at + 10,
         "dur": 5, "args": {"device": 0, "stream": 7, "correlation": 3}},
    ]  # fmt: skip
    data = kineto_2_11(made).replace(b'  "baseTimeNanoseconds": 1790857026000000000,\n', b"")
    trace = opened(tmp_path, data)
    assert trace.operations.launch.tolist() == [0]
    assert trace.operations.start.tolist() == [10_000]
    assert trace.source.session_start_utc_ns == at * 1000
    assert [trace.strings[i] for i in trace.ranges.name] == ["ProfilerStep#1", "aten::mm"]


def test_ids_that_nsys_has_no_room_for(tmp_path: Path) -> None:
    made = [
        event("cuda_runtime", "cudaLaunchKernel", 1_000, 2_000, 100, tid, correlation=k)
        for k, tid in enumerate((3_390_334_720, 2_147_483_647, 100, 16_777_215), start=1)
    ]
    trace = opened(tmp_path, kineto_2_11(made))
    assert len(trace.threads) == 4
    assert {t.pid for t in trace.threads} == {100}
    assert len({t.tid for t in trace.threads}) == 4
    assert {100, 16_777_215} < {t.tid for t in trace.threads}


def test_several_processes_in_one_file(tmp_path: Path) -> None:
    made = [
        *launch("a", (1_000, 2_000), (3_000, 4_000), 1, pid=100, tid=100),
        *launch("b", (1_000, 2_000), (5_000, 6_000), 2, pid=200, tid=200),
    ]
    trace = opened(tmp_path, kineto_2_11(made))
    owners = [trace.processes[p] >> 24 & 0xFFFFFF for p in trace.operations.process]
    assert owners == [100, 200]
    assert (trace.operations.launch >= 0).all()


def test_unusable_rows_are_counted(tmp_path: Path) -> None:
    made = [
        *launch("k", (1_000, 2_000), (3_000, 4_000), 1),
        event("kernel", "empty", 5_000, 5_000, 0, 7, stream=7),
        {"ph": "X", "cat": "kernel", "name": "no end", "pid": 0, "tid": 7, "ts": Raw("6.000")},
        {"ph": "X", "cat": "kernel", "name": "wild", "pid": 0, "tid": 7, "ts": Raw("1e300"),
         "dur": 1},
    ]  # fmt: skip
    trace = opened(tmp_path, kineto_2_11(made))
    assert len(trace.operations) == 1
    assert (trace.dropped.empty, trace.dropped.null, trace.dropped.absurd) == (1, 1, 1)


def test_what_old_kineto_wrote_that_is_no_json(tmp_path: Path) -> None:
    made = launch("k", (1_000, 2_000), (3_000, 4_000), 1)
    made[1]["args"] |= {"blocks per SM": Raw("inf"), "warps per SM": Raw("-nan")}
    data = kineto_2_11(made).replace(b'"name": "k"', b'"name": "k\xff"')
    trace = opened(tmp_path, data)
    assert trace.strings[int(trace.operations.name[0])] == "k\N{REPLACEMENT CHARACTER}"


def test_rank_and_manifest(tmp_path: Path) -> None:
    tail = '\n  "distributedInfo": {"backend": "nccl", "rank": 3, "world_size": 8},'
    data = kineto_2_11(small_loop(), tail=tail)
    trace = opened(tmp_path, gzip.compress(data), "w0.pt.trace.json.gz")
    assert (trace.source.strategy, trace.source.label) == ("", "w0 (rank 3 of 8)")
    assert (trace.source.rank, trace.source.rank_from) == (3, "distributedInfo")
    (tmp_path / "w0.pt.trace.json").write_text(
        '{"manifest_version": 1, "strategy": "kv-cache", "label": "mine", "origin": "measured"}'
    )
    trace = open_trace(tmp_path / "w0.pt.trace.json.gz")
    assert (trace.source.strategy, trace.source.label) == ("kv-cache", "mine")


def test_duplicate_members_take_the_last_as_json_does(tmp_path: Path) -> None:
    data = kineto_2_11(launch("k", (1_000, 2_000), (3_000, 4_000), 1)).replace(
        b'"correlation": 1', b'"correlation": 99, "correlation": 1'
    )
    assert opened(tmp_path, data).operations.launch.tolist() == [0]


def test_an_array_without_anything_around_it(tmp_path: Path) -> None:
    data = kineto_2_11(small_loop())
    array = data[data.index(b'"traceEvents": [') + 15 : data.rindex(b"],") + 1]
    assert len(opened(tmp_path, array).operations) == 4


def test_columns_are_int64(tmp_path: Path) -> None:
    trace = opened(tmp_path, kineto_2_11(small_loop()))
    for column in (trace.operations.start, trace.calls.end, trace.ranges.start):
        assert column.dtype == np.int64


def test_a_rank_that_is_none(tmp_path: Path) -> None:
    for rank in ("-1", "true", '"3"', "null"):
        tail = f'\n  "distributedInfo": {{"rank": {rank}, "world_size": 8}},'
        trace = opened(tmp_path, kineto_2_11(small_loop(), tail=tail), "w.json")
        assert (trace.source.label, trace.source.rank) == ("w", None)
