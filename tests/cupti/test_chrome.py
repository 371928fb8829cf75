"""The road through torch.profiler: its chrome JSON into the same records and the same trace."""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
from pathlib import Path

import pytest

from harness.capture.cupti import chrome, completeness, export
from harness.capture.cupti.session import Refused, TorchSession
from harness.errors import CaptureError

REAL = Path(__file__).parents[1] / "kineto" / "data" / "h100_decode_cuda_only.json.gz"
BASE = 1_795_000_000_000_000_000
DRAIN = [BASE + 299_500, BASE + 310_700]
SESSION = {
    "clocks": {"opened": BASE + 50_000, "closed": BASE + 250_000, "drain": DRAIN},
    "library_version": 130001,
}
PTHREAD = 140_623_801_090_368
THREADS = [[77, "MainThread", PTHREAD], [78, "worker", None]]
HOST = {
    "pid": 77, "name": "my.py", "threads": THREADS, "ranges": [],
    "devices": [{"cuda_id": 0, "name": "H100", "uuid": "a-b", "properties": {"smCount": 132}}],
}  # fmt: skip


def event(category, name, start_us, length_us, args, tid=77):
    """One complete event."""
    return {
        "ph": "X", "cat": category, "name": name, "pid": 0, "tid": tid, "ts": start_us,
        "dur": length_us, "args": args,
    }  # fmt: skip


PLACE = {"device": 0, "context": 1, "stream": 7}
EVENTS = [
    event("cuda_runtime", "cudaLaunchKernel", 100.5, 5.25, {"cbid": 211, "correlation": 5}),
    event(
        "kernel",
        "void at::native::fill<4>(int)",
        110.125,
        3.0,
        {**PLACE, "correlation": 5, "registers per thread": 16, "shared memory": 0,
         "grid": [2, 1, 1], "block": [128, 1, 1], "graph node id": 9, "graph id": 4},
        7,
    ),
    event("cuda_driver", "cuLaunchKernel", 115, 2, {"correlation": 8}, PTHREAD & 0x7FFFFFFF),
    event("cuda_runtime", "cudaMemcpyAsync", 120, 30, {"correlation": 6}, 78),
    event("gpu_memcpy", "Memcpy DtoH (Device -> Pageable)", 130, 1.5,
          {**PLACE, "correlation": 6, "bytes": 8}, 7),
    event("gpu_memset", "Memset (Device)", 135, 0.704, {**PLACE, "correlation": 8, "bytes": 48}, 7),
    event("cuda_sync", "Stream Sync", 150, 10, {"stream": 7, "correlation": 7, "context": 1}, 7),
    event("overhead", "Activity Buffer Request", 90, 1, {}, -1),
    {"ph": "i", "cat": "Trace", "name": "Record Window End", "ts": 200, "pid": 0, "tid": 0},
    event("cpu_op", "aten::add", 99, 9, {}),
    event("cuda_runtime", "cudaDeviceSynchronize", 300, 10, {"correlation": 9}),
]  # fmt: skip


def written(path, events=EVENTS, **more):
    """A trace file of these events."""
    path.write_text(
        json.dumps({"schemaVersion": 1, "baseTimeNanoseconds": BASE, "traceEvents": events, **more})
    )
    return path


def test_every_kind(tmp_path):
    found = chrome.read_chrome(written(tmp_path / "t.json"), SESSION, THREADS)
    (kernel,) = found.table("kernel")
    assert (kernel["start"], kernel["end"]) == (BASE + 110_125, BASE + 113_125)
    assert (kernel["grid"].tolist(), kernel["stream"], kernel["graph_id"]) == ([2, 1, 1], 7, 4)
    assert found.strings[kernel["name"]] == "void at::native::fill<4>(int)"
    (copy,) = found.table("memcpy")
    assert (copy["copy_kind"], copy["src_kind"], copy["dst_kind"], copy["bytes"]) == (2, 3, 1, 8)
    (memset,) = found.table("memset")
    assert (memset["end"] - memset["start"], memset["memory_kind"]) == (704, 3)
    (sync,) = found.table("sync")
    assert (sync["type"], sync["stream"]) == (3, 7)
    (overhead,) = found.table("overhead")
    assert overhead["kind"] == 7 << 16
    # The calls of the session's own end are not in it; a pthread id becomes the thread's number.
    assert found.table("api")["correlation"].tolist() == [5, 8, 6]
    assert found.table("api")["driver"].tolist() == [0, 1, 0]
    assert found.table("api")["thread"].tolist()[::2] == [77, 78]
    assert found.dropped is None
    assert found.extra["clock_error_ns"] == 700


def test_the_trace_it_becomes(tmp_path):
    ranges = [["Step 0", None, BASE + 95_000, BASE + 200_000, 77, 59]]
    found = chrome.read_chrome(written(tmp_path / "t.json"), SESSION, THREADS)
    checked = completeness.check(found, ranges)
    assert (checked.launches, checked.kernels) == (2, 1)  # the driver's has a memset, no kernel
    out = tmp_path / "t.sqlite"
    assert export.write_trace(out, found, HOST | {"ranges": ranges}, checked).ranges_found == 1
    base = sqlite3.connect(out)
    assert base.execute(
        "SELECT k.start - r.start, k.end - k.start, s.value FROM CUPTI_ACTIVITY_KIND_KERNEL k "
        "JOIN CUPTI_ACTIVITY_KIND_RUNTIME r USING (correlationId) "
        "JOIN StringIds s ON s.id = k.shortName"
    ).fetchall() == [(9625, 3000, "fill")]
    base.close()


def test_bytes_of_names_that_are_no_text_do_not_cost_the_trace(tmp_path):
    ranges = [["load \udcff", "\udcfe", BASE + 95_000, BASE + 200_000, 77, 59]]
    found = chrome.read_chrome(written(tmp_path / "t.json"), SESSION, THREADS)
    out, host = tmp_path / "t.sqlite", HOST | {"ranges": ranges, "name": "my\udcff.py"}
    assert export.write_trace(out, found, host, completeness.check(found, ranges)).complete is False
    base = sqlite3.connect(out)
    texts = base.execute(
        "SELECT COALESCE(n.text, s.value) FROM NVTX_EVENTS n LEFT JOIN StringIds s "
        "ON s.id = n.textId ORDER BY n.eventType"
    ).fetchall()
    base.close()
    assert texts == [("load \\udcff",), ("\\udcfe",)]


def test_a_window_that_opens_before_torch_is_imported_is_refused(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    with pytest.raises(Refused, match=r"torch\.profiler cannot start: PyTorch is not imported yet"):
        TorchSession({"folder": str(tmp_path)}).start()


def test_a_real_recording_to_the_nanosecond(tmp_path):
    path = tmp_path / "t.json"
    path.write_bytes(gzip.decompress(REAL.read_bytes()))
    raw = json.loads(path.read_text(), parse_float=str)
    wanted = {"kernel": [], "gpu_memset": [], "gpu_memcpy": []}
    for item in raw["traceEvents"]:
        if item.get("cat") in wanted:
            whole, _, part = str(item["dur"]).partition(".")
            wanted[item["cat"]].append(int(whole) * 1000 + int((part + "000")[:3]))
    base = int(raw["baseTimeNanoseconds"])
    starts = [
        base + int(whole) * 1000 + int((part + "000")[:3])
        for item in raw["traceEvents"]
        if item.get("cat") == "kernel"
        for whole, _, part in [str(item["ts"]).partition(".")]
    ]
    clocks = {"opened": min(starts) - 10**9, "closed": max(starts) + 10**9}
    found = chrome.read_chrome(path, {"clocks": clocks, "library_version": 130001}, [])
    for category, lengths in wanted.items():
        rows = found.table(category.removeprefix("gpu_"))
        assert (rows["end"] - rows["start"]).tolist() == lengths
    assert found.table("kernel")["start"].tolist() == starts
    checked = completeness.check(found, [])
    assert checked.launches == checked.kernels == 864
    assert checked.complete


def test_a_trace_of_the_cpu_holds_nothing(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed: not read from real torch")
    path = tmp_path / "cpu.json"
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        torch.ones(4).add_(1)
    profile.export_chrome_trace(str(path))
    found = chrome.read_chrome(path, {}, [])
    assert all(len(rows) == 0 for rows in found.tables.values())


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"traceEvents": [{"ph": "X", "cat": "kernel"}]}', '{"traceEvents": 3}']
)
def test_no_trace_of_torch(tmp_path, text):
    path = tmp_path / "t.json"
    path.write_text(text)
    with pytest.raises(CaptureError, match=r"is not a trace of torch\.profiler"):
        chrome.read_chrome(path, SESSION, THREADS)
