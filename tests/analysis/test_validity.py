"""Verdicts: each one made to appear, and shown to stay away."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.idle.sizes import Sizes
from harness.analysis.model.schema import NULL
from harness.analysis.model.trace import Unusable
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.rules import unusable
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.report import TraceReport
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.analysis.store.save import save_trace
from harness.analysis.verdicts.judge import Level, Verdict
from harness.analysis.writer.writer import TraceBuilder

from .build import US, builder, decode_loop, report


def codes(found: TraceReport) -> dict[str, str]:
    return {v.code: str(v.level) for v in found.verdicts}


def test_a_sound_trace_has_no_verdicts(tmp_path: Path) -> None:
    assert codes(report(decode_loop(), tmp_path)) == {}


def test_host_only_still_gives_host_step_times(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(12):
        trace.nvtx(k * 100 * US, (k * 100 + 60) * US, f"Step {k}", thread=thread)
    found = report(trace, tmp_path)
    assert codes(found) == {"host-only": "invalid"}
    (host,) = found.host
    assert host.duration is not None
    assert host.period is not None
    assert (host.duration.p50_ns, host.period.p50_ns) == (60 * US, 100 * US)
    assert not found.empty


def test_calls_without_any_gpu_row_are_a_failed_trace_not_idle(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.api(0, 10, "cudaLaunchKernel_v7000", thread=thread)
    assert codes(report(trace, tmp_path))["gpu-rows-missing"] == "invalid"


def lossy(lost: int, of: int = 400) -> TraceBuilder:
    trace, thread = builder()
    for k in range(of):
        if k % of < lost:
            trace.api(k * 100, k * 100 + 10, "cudaLaunchKernel_v7000", thread=thread)
        else:
            trace.launch(k * 100, k * 100 + 10, k * 100 + 20, k * 100 + 90, thread=thread)
    return trace


@pytest.mark.parametrize(("lost", "level"), [(0, None), (1, "degraded"), (40, "invalid")])
def test_launches_without_gpu_rows(tmp_path: Path, lost: int, level: str | None) -> None:
    assert codes(report(lossy(lost), tmp_path)).get("launches-without-gpu-rows") == level


def test_a_process_whose_gpu_rows_are_all_lost_is_not_overlooked(tmp_path: Path) -> None:
    trace = lossy(0)
    other = trace.thread(trace.process(200), 200)
    for k in range(100):
        trace.api(k * 100, k * 100 + 10, "cudaLaunchKernel_v7000", thread=other)
    found = report(trace, tmp_path)
    verdict = next(v for v in found.verdicts if v.code == "process-not-recorded")
    assert verdict.reason.startswith("none of the 100 launches of process 200 left")
    assert verdict.level is Level.INVALID  # there is one GPU alone


def test_captured_failed_and_queued_launches_are_not_missing(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.api(0, 5, "cudaStreamBeginCapture_v10000", thread=thread)
    trace.api(10, 15, "cudaLaunchKernel_v7000", thread=thread)
    trace.api(20, 25, "cudaStreamEndCapture_v10000", thread=thread)
    trace.api(30, 35, "cudaLaunchKernel_v7000", thread=thread, return_value=98)
    trace.launch(40, 45, 50, 60, thread=thread)
    trace.api(70, 75, "cudaLaunchKernel_v7000", thread=thread)  # still queued at the end
    assert "launches-without-gpu-rows" not in codes(report(trace, tmp_path))


def test_overhead_share(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 1, 10, 1000, thread=thread)
    trace.launch(0, 1, 1900, 2010, thread=thread)
    trace.overhead(1100, 1300, "CUPTI Buffer flush", thread=thread)
    found = report(trace, tmp_path)
    verdict = next(v for v in found.verdicts if v.code == "profiler-overhead")
    assert "10.0%" in verdict.reason


def test_rows_that_cannot_be_busy_are_counted(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
    process = trace.process(100)
    thread = trace.thread(process, 100)
    trace.launch(0, 1, 10, 20, thread=thread)
    for start, end in ((40, 40), (60, 50), (2**61, 2**61 + 5)):
        trace.kernel(start, end, name="k", correlation=5, process=process)
    found = report(trace, tmp_path)
    assert (found.trace.dropped.empty, found.trace.dropped.absurd) == (2, 1)
    assert found.devices[0].window_ns == 10
    assert codes(found)["rows-dropped"] == "degraded"


@pytest.mark.parametrize(
    ("facts", "code", "level"),
    [
        ({"dropped": 3}, "capture-dropped", "invalid"),
        (
            {"zero_timestamps": 2, "known_problem": "CUPTI 13.0"},
            "capture-zero-timestamps",
            "invalid",
        ),
        ({"broken_buffers": 1}, "capture-broken-buffers", "invalid"),
        ({"stop_result": 999}, "capture-stop-result", "invalid"),
        ({"ranges_issued": 40, "ranges_found": 0}, "ranges-lost", "invalid"),
        ({"ranges_issued": 40, "ranges_found": 39}, "ranges-lost", "degraded"),
        ({"ranges_issued": 40, "ranges_found": 40, "dropped": 0, "stop_result": 0}, None, None),
    ],
)
def test_what_the_recorder_knew(tmp_path: Path, facts: dict, code: str, level: str) -> None:
    (tmp_path / "trace.json").write_text(
        json.dumps({"manifest_version": 1, "capture": {"completeness": facts}})
    )
    found = codes(report(decode_loop(), tmp_path))
    assert found == ({code: level} if code else {})


def test_few_steps(tmp_path: Path) -> None:
    assert codes(report(decode_loop(6), tmp_path)) == {"few-steps": "degraded"}
    assert codes(report(decode_loop(2), tmp_path)) == {"few-steps": "degraded"}
    assert codes(report(decode_loop(12), tmp_path)) == {}


def test_shared_ordinal_without_uuid(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for pid in (1, 2):
        thread = trace.thread(trace.process(pid), pid)
        trace.launch(0, 1, 10 * pid, 20 * pid, thread=thread)
    assert codes(report(trace, tmp_path))["device-identity"] == "degraded"


def test_one_bad_figure_does_not_spoil_the_others(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.launch(0, 1, 10, 20, thread=thread)
    trace.launch(0, 1, 40, 50, thread=thread)
    found = report(trace, tmp_path)
    assert found.level("steps") is Level.INVALID
    assert found.level("device") is Level.OK
    assert found.devices[0].idle_ns == 20


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("DROP TABLE StringIds", "CUDA calls and kernels and NVTX ranges"),
        ("DELETE FROM StringIds WHERE value LIKE 'cudaStreamSynchronize%'", "CUDA calls refer"),
        ("DELETE FROM StringIds WHERE value = 'Step 7'", "NVTX ranges refer"),
    ],
)
def test_names_that_are_gone(tmp_path: Path, statement: str, says: str) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(sync="stream").write(path)
    assert not any(v.code == "names-missing" for v in analyze(path).verdicts)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)
    (found,) = (v for v in analyze(path).verdicts if v.code == "names-missing")
    assert (found.figures, found.level) == ("all", Level.DEGRADED)
    assert found.reason.startswith(says)


@pytest.mark.parametrize("limit", [None, 1])
def test_copies_of_which_no_row_is_left(tmp_path: Path, limit: int | None) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(steps=14).write(path)
    store = tmp_path / "store"

    def found() -> tuple[Verdict, ...]:
        if limit is None:
            return analyze(path).verdicts
        trace = open_trace(path)
        shutil.rmtree(store, ignore_errors=True)
        store.mkdir()
        save_trace(trace, read_metadata(open_database(path)), store)
        sizes = Sizes(operations=3, host_rows=3)
        return analyze(Store(store, path), Question(), sizes).verdicts

    assert not found()
    change(path, "DROP TABLE CUPTI_ACTIVITY_KIND_MEMCPY")
    (verdict,) = (v for v in found() if v.code == "operations-missing")
    assert (verdict.figures, verdict.level) == ("device", Level.DEGRADED)
    # The copies of 14 steps, without the last: it was called after the last kernel seen to run.
    assert verdict.reason.startswith("13 CUDA calls ask for copies, and the trace holds none")


def test_a_few_copies_without_rows_are_no_loss(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(steps=10).write(path)
    change(path, "DROP TABLE CUPTI_ACTIVITY_KIND_MEMCPY")
    assert "operations-missing" not in {v.code for v in analyze(path).verdicts}


def test_memsets_of_which_no_row_is_left(tmp_path: Path) -> None:
    trace, thread = builder()
    for k in range(12):
        trace.launch(k * 100 * US, (k * 100 + 5) * US, (k * 100 + 8) * US, (k * 100 + 50) * US,
                     thread=thread)  # fmt: skip
        trace.api(k * 100 * US + 7000, k * 100 * US + 8000, "cudaMemsetAsync_v3020",
                  thread=thread, correlation=1000 + k)  # fmt: skip
    (verdict,) = (v for v in report(trace, tmp_path).verdicts if v.code == "operations-missing")
    assert verdict.reason.startswith("11 CUDA calls ask for memsets")


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(statement)


def test_steps_without_any_work_that_is_looked_at(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(trace.process(200, "python"), 200, "other")
    for k in range(12):
        trace.launch(k * 100 * US, (k * 100 + 5) * US, (k * 100 + 8) * US, (k * 100 + 50) * US,
                     thread=thread)  # fmt: skip
        trace.nvtx(k * 100 * US, (k * 100 + 60) * US, f"Step {k}", thread=other)
    (verdict,) = report(trace, tmp_path).verdicts
    assert (verdict.code, verdict.level) == ("steps-elsewhere", Level.INVALID)
    assert verdict.reason == (
        "the steps are ranges of process 200, which launched nothing; process 100 launched 12 "
        "operations"
    )


def test_a_verdict_names_its_series_where_there_are_several(tmp_path: Path) -> None:
    trace, thread = builder()
    other = trace.thread(trace.process(200, "python"), 200, "other")
    for k in range(14):
        for one, at in ((thread, 0), (other, 50)):
            if one == other and k > 3:
                continue
            start = (k * 100 + at) * US
            trace.launch(start, start + 5 * US, start + 8 * US, start + 30 * US, thread=one)
            trace.nvtx(start, start + 20 * US, f"Step {k}", thread=one)
    (verdict,) = report(trace, tmp_path).verdicts
    assert verdict.code == "few-steps"
    assert verdict.reason.startswith("thread 200 on GPU 0: 2 steady-state steps")


def test_a_stream_capture_that_failed_hides_no_lost_launches(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    trace = decode_loop(steps=14)
    thread = trace.thread(trace.process(100, "python"), 100, "MainThread")
    trace.api(0, 1, "cudaStreamBeginCapture_v10000", thread=thread, correlation=0,
              return_value=900)  # fmt: skip
    trace.write(path)
    change(path, "DELETE FROM CUPTI_ACTIVITY_KIND_KERNEL WHERE rowid % 2 = 0")
    assert "launches-without-gpu-rows" in {v.code for v in analyze(path).verdicts}


def chunked(path: Path, folder: Path) -> tuple[TraceReport, ...]:
    """The reports of a stored trace: saved from memory, and built within a budget."""
    found = []
    for way in ("saved", "built"):
        store = folder / way
        store.mkdir()
        if way == "saved":
            save_trace(open_trace(path), read_metadata(open_database(path)), store)
        else:
            build_store(path, store, 1, lambda *_: None)
        sizes = Sizes(operations=3, host_rows=3)
        found.append(analyze(Store(store, path), Question(), sizes))
    return tuple(found)


REPEATS = (
    "repeats of the work are taken: 14 steps of 4 operations on stream 7, 100.0% the same from "
    "step to step, 100% of its operations. A step begins with kernel: the host had waited for the "
    "GPU (100% of the repeats); the recording begins and ends there; the longest time between "
    "launches lies there. Confidence 100%, of the boundaries 100%"
)


@pytest.mark.parametrize(
    ("statement", "code", "level", "says"),
    [
        (
            "UPDATE NVTX_EVENTS SET end = start - 5 WHERE textId = (SELECT id FROM StringIds WHERE "
            "value = 'Step 3')",
            "ranges-dropped",
            "degraded",
            "NVTX ranges that are left out: 1 with end < start; steps may be missing",
        ),
        (
            "UPDATE NVTX_EVENTS SET end = start - 1",
            "inferred-steps",
            "degraded",
            "none of the trace's 42 NVTX ranges can be used: 42 with end < start; " + REPEATS,
        ),
        (
            "UPDATE NVTX_EVENTS SET end = 9223372036854775807",
            "inferred-steps",
            "degraded",
            "none of the trace's 42 NVTX ranges can be used: 42 with impossible times; " + REPEATS,
        ),
        (
            "UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET end = start - 1",
            "impossible-calls",
            "invalid",
            "CUDA calls with impossible times (100.00% of all): 56 with end < start; what they "
            "waited for is not known",
        ),
        (
            "UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET end = 1 << 61 WHERE rowid = 4",
            "impossible-calls",
            "invalid",
            "CUDA calls with impossible times (1.79% of all): 1 with impossible times; what they "
            "waited for is not known",
        ),
    ],
)
def test_rows_of_the_host_whose_times_cannot_be(
    tmp_path: Path, statement: str, code: str, level: str, says: str
) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(steps=14).write(path)
    change(path, statement)
    whole = analyze(path)
    (found,) = (v for v in whole.verdicts if v.code == code)
    assert (str(found.level), found.reason) == (level, says)
    for other in chunked(path, tmp_path):
        assert other.verdicts == whole.verdicts


def test_a_call_that_did_not_return_and_a_range_that_was_not_closed_are_sound() -> None:
    start = np.array([5, 5, NULL, 5, 5, 2**61])
    end = np.array([NULL, 5, 7, 4, 2**61, NULL])
    assert unusable(start, end) == Unusable(reversed=1, null=1, absurd=2)


def test_one_impossible_call_of_many_is_doubted(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(steps=30).write(path)
    change(path, "UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET end = start - 1 WHERE rowid = 4")
    assert codes(analyze(path)) == {"impossible-calls": "degraded"}


def test_a_trace_whose_times_are_all_impossible_is_not_called_empty(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    decode_loop(steps=14).write(path)
    for table in ("KERNEL", "MEMCPY"):
        change(path, f"UPDATE CUPTI_ACTIVITY_KIND_{table} SET start = 1 << 61, end = 1 << 61")
    found = {v.code: v for v in analyze(path).verdicts}
    assert "host-only" not in found
    assert found["gpu-rows-unusable"].reason == (
        "none of the trace's 56 GPU operations can be used: 56 with impossible times"
    )


def test_host_step_times_are_announced_where_there_are_steps(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.nvtx(0, 60 * US, "Step 0", thread=thread)
    steps, none = Question(), Question((StepPattern.glob("nothing"),))
    assert "host step times follow" in report(trace, tmp_path, steps).verdicts[0].remedy
    assert "host step times" not in report(trace, tmp_path, none).verdicts[0].remedy
