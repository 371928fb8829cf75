"""Which physical GPU is meant: by UUID, across processes, whatever CUDA_VISIBLE_DEVICES says."""

from __future__ import annotations

import csv
import json
import sqlite3
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

US = 1000
ONE, TWO = "GPU-1111", "GPU-2222"


def ranks(uuids: tuple[str, ...], *, ordinal: int = 0) -> TraceBuilder:
    """One process a uuid; each calls its GPU by the same ordinal and works 10 of every 20 us,
    rank k 10 us later than rank k - 1."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for rank, uuid in enumerate(uuids):
        pid = 100 + rank
        thread = trace.thread(trace.process(pid), pid, "MainThread")
        trace.device(ordinal, name="Test GPU", uuid=uuid, pid=pid)
        for k in range(4):
            start = (k * 20 + rank * 10 + 1) * US
            trace.launch(start - 500, start - 400, start, start + 10 * US, thread=thread)
    return trace


def analysed(trace: TraceBuilder, folder: Path, *sql: str) -> TraceReport:
    path = folder / "t.sqlite"
    trace.write(path, force=True)
    with sqlite3.connect(path) as connection:
        for statement in sql:
            connection.execute(statement)
    connection.close()
    return analyze(path)


def codes(found: TraceReport) -> list[str]:
    return [verdict.code for verdict in found.verdicts]


def test_two_ranks_that_each_see_device_0_have_two_gpus(tmp_path: Path) -> None:
    found = analysed(ranks((ONE, TWO)), tmp_path)
    assert [(d.ordinal, d.uuid) for d in found.trace.devices] == [(0, ONE), (1, TWO)]
    assert [d.idle_ns for d in found.devices] == [30 * US, 30 * US]
    # Together they are never idle: each works while the other does not.
    assert (found.all_window_ns, found.all_idle_ns) == (80 * US, 0)
    assert "device-identity" not in codes(found)


def test_each_of_them_can_be_asked_for(tmp_path: Path) -> None:
    ranks((ONE, TWO)).write(tmp_path / "t.sqlite")
    for number in (0, 1):
        found = analyze(tmp_path / "t.sqlite", Question(device=number))
        assert [d.window_start_ns for d in found.devices] == [(number * 10 + 1) * US]
    with pytest.raises(TraceError, match=r"no work on device 2 \(has: 0, 1\)"):
        analyze(tmp_path / "t.sqlite", Question(device=2))


def test_two_ranks_on_one_gpu_share_its_busy_time(tmp_path: Path) -> None:
    found = analysed(ranks((ONE, ONE)), tmp_path)
    assert [d.idle_ns for d in found.devices] == [0]


def test_gpu_ids_tell_gpus_apart_where_the_export_names_no_uuid(tmp_path: Path) -> None:
    """TARGET_INFO_CUDA_DEVICE without its uuid column, as nsys 2025 writes it."""
    found = analysed(
        ranks((ONE, TWO)),
        tmp_path,
        "ALTER TABLE TARGET_INFO_CUDA_DEVICE DROP COLUMN uuid",
        "UPDATE TARGET_INFO_GPU SET uuid = ''",
    )
    assert [d.ordinal for d in found.trace.devices] == [0, 1]
    assert "device-identity" not in codes(found)
    found = analysed(ranks((ONE, TWO)), tmp_path, "DROP TABLE TARGET_INFO_GPU")
    assert len(found.devices) == 2


def test_without_any_mapping_equal_ordinals_are_one_device_and_that_is_said(tmp_path: Path) -> None:
    for drop in (("TARGET_INFO_CUDA_DEVICE", "TARGET_INFO_GPU"), ("TARGET_INFO_CUDA_DEVICE",)):
        found = analysed(ranks((ONE, TWO)), tmp_path, *(f"DROP TABLE {name}" for name in drop))
        assert [d.idle_ns for d in found.devices] == [0]
        assert "device-identity" in codes(found)


def test_one_gpu_under_two_ordinals_is_one_device(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic")
    for rank in (0, 1):
        thread = trace.thread(trace.process(100 + rank), 100 + rank)
        trace.device(rank, name="Test GPU", uuid=ONE, pid=100 + rank)
        for k in range(3):
            start = (k * 20 + rank * 10 + 1) * US
            trace.launch(start - 2, start - 1, start, start + 10 * US, thread=thread, device=rank)
    (device,) = analysed(trace, tmp_path).devices
    assert device.idle_ns == 0


def test_rows_without_a_process_belong_to_the_only_one_that_makes_calls(tmp_path: Path) -> None:
    whole = analysed(ranks((ONE,)), tmp_path)
    table = "CUPTI_ACTIVITY_KIND_KERNEL"
    for sql in (f"ALTER TABLE {table} DROP COLUMN globalPid", f"UPDATE {table} SET globalPid = 0"):
        found = analysed(ranks((ONE,)), tmp_path, sql)
        assert found.devices == whole.devices
        assert found.devices[0].causes["unknown"] == 0


def test_a_copy_between_gpus_keeps_both_busy_and_is_a_dependency(tmp_path: Path) -> None:
    """A peer copy leaves a row on each device, under one correlationId."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    process = trace.process(100)
    thread = trace.thread(process, 100)
    for ordinal, uuid in enumerate((ONE, TWO)):
        trace.device(ordinal, name="Test GPU", uuid=uuid)
        trace.launch(0, US, 2 * US, 10 * US, thread=thread, device=ordinal)
    call = trace.api(2 * US, 3 * US, "cudaMemcpyPeerAsync_v4000", thread=thread)
    for ordinal in (0, 1):
        trace.memcpy(15 * US, 25 * US, bytes=8, copy_kind=10, correlation=call, process=process,
                     device=ordinal)  # fmt: skip
    found = analysed(trace, tmp_path)
    assert [(d.busy_ns, d.idle_ns) for d in found.devices] == [(18 * US, 5 * US)] * 2
    assert [d.causes["dependency"] for d in found.devices] == [5 * US] * 2
    assert (found.all_window_ns, found.all_idle_ns) == (23 * US, 5 * US)
    assert "launches-without-gpu-rows" not in codes(found)


def test_series_and_devices_go_by_the_same_number(inside, tmp_path: Path) -> None:
    """CUDA ordinals 4 and 6: JSON joins series to devices by what the tables and --device say."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    thread = trace.thread(trace.process(100), 100)
    for ordinal, uuid in ((4, ONE), (6, TWO)):
        trace.device(ordinal, name="Test GPU", uuid=uuid)
    for k in range(5):
        at = k * 100 * US
        trace.nvtx(at, at + 50 * US, f"Step {k}", thread=thread)
        for n, ordinal in enumerate((4, 6)):
            start = at + (10 + n) * US
            trace.launch(at + n, at + n + 1, start, start + 40 * US, thread=thread, device=ordinal)
    trace.write(tmp_path / "t.sqlite")
    for options, numbers in (([], [4, 6]), (["--device", "6"], [6])):
        run = inside("gaps", "t.sqlite", "--format", "json", *options)
        found = json.loads(run.stdout)["traces"][0]
        assert [d["device"] for d in found["devices"]] == numbers
        assert [s["device"] for s in found["series"]] == numbers
        run = inside("gaps", "t.sqlite", "--format", "csv", *options)
        rows = list(csv.DictReader(run.stdout.splitlines()))
        assert [int(row["device"]) for row in rows] == numbers
