"""Columns and tables come and go between nsys 2022 and 2026: each variant reads, or is refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model import schema
from harness.analysis.model.errors import TraceError
from harness.analysis.model.names import operation_name
from harness.analysis.model.schema import Column, Table
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport
from harness.analysis.writer.tables import definitions

from .build import US, builder, decode_loop

TABLES = {table.name: table for table in vars(schema).values() if isinstance(table, Table)}
EVERY_COLUMN = [(table, column) for table in TABLES.values() for column in table.columns]


def rich(path: Path) -> Path:
    """A trace with rows in every table that is read."""
    trace = decode_loop(sync="stream")
    thread = trace.thread(trace.process(100), 100)
    process = thread & ~0xFFFFFF
    trace.overhead(1000 * US, 1001 * US, "CUPTI Buffer flush", thread=thread)
    trace.cuda_overhead(1002 * US, 1003 * US, "Lazy Function Loading", thread=thread, kind=5)
    trace.graph_trace(9000 * US, 9010 * US, correlation=trace.next_correlation(), process=process)
    trace.memset(9020 * US, 9030 * US, bytes=8, correlation=trace.next_correlation(),
                 process=process)  # fmt: skip
    trace.host_function(9040 * US, 9050 * US, process=process)
    trace.context_switch(9060 * US, begin=True, context=1, process=process)
    trace.context(1, pid=100, hardware=1)
    trace.session_start(1_700_000_000 * 10**9)
    trace.write(path, force=True)
    return altered(
        path,
        # Read, and never written: what a profiler says of itself and of the machine is its own.
        "CREATE TABLE DIAGNOSTIC_EVENT (timestamp INTEGER, timestampType INTEGER, source INTEGER, "
        "severity INTEGER, text TEXT, globalPid INTEGER)",
        "INSERT INTO DIAGNOSTIC_EVENT VALUES (0, 0, 0, 1, 'Number of CUPTI events produced: 9', 0)",
        "CREATE TABLE TARGET_INFO_SYSTEM_ENV (globalVid INTEGER, devStateName TEXT, name TEXT, "
        "nameEnum INTEGER, value TEXT)",
        "INSERT INTO TARGET_INFO_SYSTEM_ENV VALUES (0, '', 'Hostname', 0, 'here')",
    )


def altered(path: Path, *statements: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return path


def idle(found: TraceReport) -> list[int]:
    return [device.idle_ns for device in found.devices]


def test_the_rich_trace_has_rows_in_every_declared_table(tmp_path: Path) -> None:
    with closing(sqlite3.connect(rich(tmp_path / "t.sqlite"))) as connection:
        rows = {t: connection.execute(f"SELECT count(*) FROM {t}").fetchone()[0] for t in TABLES}
    assert [table for table, count in rows.items() if not count] == []


@pytest.mark.parametrize(
    ("table", "column"), EVERY_COLUMN, ids=[f"{t.name}.{c.name}" for t, c in EVERY_COLUMN]
)
def test_each_declared_column_missing(tmp_path: Path, table: Table, column: Column) -> None:
    """An optional column is stood in for; a needed one is named, in a file that holds it."""
    whole = analyze(rich(tmp_path / "whole.sqlite"))
    path = rich(tmp_path / "t.sqlite")
    if (table.name, column.name) in {("StringIds", "id"), ("TARGET_INFO_GPU", "id")}:
        # SQLite does not drop a key; renamed, it is as absent.
        altered(path, f"ALTER TABLE {table.name} RENAME COLUMN {column.name} TO other")
    else:
        altered(path, f"ALTER TABLE {table.name} DROP COLUMN {column.name}")
    if column.absent is None and not table.optional:
        with pytest.raises(TraceError, match=f"table {table.name} has no column {column.name}"):
            analyze(path)
        return
    found = analyze(path)
    # What is idle hangs on the times alone; names, processes and causes may be unknown.
    assert idle(found) == idle(whole)


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_each_table_missing_or_empty_is_the_same(tmp_path: Path, table: Table) -> None:
    """nsys leaves out tables without rows; with --lazy=false it writes them empty."""
    missing = analyze(altered(rich(tmp_path / "t.sqlite"), f"DROP TABLE {table.name}"))
    empty = analyze(altered(rich(tmp_path / "u.sqlite"), f"DELETE FROM {table.name}"))
    assert missing.devices == empty.devices
    assert [s.steady for s in missing.series] == [s.steady for s in empty.series]
    assert [(v.code, v.reason) for v in missing.verdicts] == [
        (v.code, v.reason) for v in empty.verdicts
    ]


def test_an_export_that_is_not_lazy_reads_like_one_that_is(tmp_path: Path) -> None:
    path = tmp_path / "lazy.sqlite"
    decode_loop().write(path)
    full = tmp_path / "full.sqlite"
    decode_loop().write(full)
    altered(full, *(
        d.create.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS")
        for d in definitions().values()
    ))  # fmt: skip
    assert analyze(full).devices == analyze(path).devices
    assert analyze(full).verdicts == ()


@pytest.mark.parametrize(
    ("table", "name", "other"),
    [(t, c.name, o) for t, c in EVERY_COLUMN for o in c.others],
)
def test_other_names_of_a_column(tmp_path: Path, table: Table, name: str, other: str) -> None:
    path = rich(tmp_path / "t.sqlite")
    columns = definitions()[table.name].types
    drop = [f"ALTER TABLE {table.name} DROP COLUMN {other}"] if other in columns else []
    altered(path, *drop, f"ALTER TABLE {table.name} RENAME COLUMN {name} TO {other}")
    found, whole = analyze(path), analyze(rich(tmp_path / "u.sqlite"))
    assert found.devices == whole.devices
    assert operation_name(found.trace, 0) == operation_name(whole.trace, 0)


@pytest.mark.parametrize(("table", "other"), [(t, o) for t in TABLES.values() for o in t.others])
def test_other_names_of_a_table(tmp_path: Path, table: Table, other: str) -> None:
    path = altered(rich(tmp_path / "t.sqlite"), f"ALTER TABLE {table.name} RENAME TO {other}")
    assert open_trace(path).source == open_trace(rich(tmp_path / "t.sqlite")).source


@pytest.mark.parametrize("correlation", [0, None])
def test_correlation_0_is_nobodys_launch(tmp_path: Path, correlation: int | None) -> None:
    trace, thread = builder()
    trace.launch(0, US, 2 * US, 10 * US, thread=thread)
    trace.launch(12 * US, 13 * US, 20 * US, 30 * US, thread=thread)
    trace.allow_invalid = True
    trace._store.nullable = True
    trace.write(tmp_path / "t.sqlite")
    value = "NULL" if correlation is None else str(correlation)
    found = analyze(
        altered(
            tmp_path / "t.sqlite",
            f"UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET correlationId = {value} WHERE rowid = 2",
            f"UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET correlationId = {value} WHERE rowid = 2",
        )
    )
    assert found.devices[0].causes["unknown"] == 10 * US


def test_names_come_from_text_or_text_id(tmp_path: Path) -> None:
    """Python registers its strings (textId), C passes them along (text); 0 may mean either."""
    trace, thread = builder()
    for k in range(4):
        trace.nvtx(k * 100, k * 100 + 50, f"Step {k}", thread=thread, registered=bool(k % 2))
        trace.launch(k * 100, k * 100 + 1, k * 100 + 5, k * 100 + 40, thread=thread)
    trace.write(tmp_path / "t.sqlite")
    zero = "UPDATE NVTX_EVENTS SET textId = 0 WHERE textId IS NULL"
    for sql in ((), (zero,)):
        (series,) = analyze(altered(tmp_path / "t.sqlite", *sql)).series
        assert series.table.number.tolist() == [0, 1, 2, 3]
    void = "UPDATE NVTX_EVENTS SET text = NULL, textId = NULL WHERE rowid = 3"
    (series,) = analyze(altered(tmp_path / "t.sqlite", void)).series
    assert series.table.number.tolist() == [0, 1, 3]


@pytest.mark.parametrize("kind", [59, 60, 70, 71])
def test_every_kind_of_range_can_be_a_step(tmp_path: Path, kind: int) -> None:
    decode_loop().write(tmp_path / "t.sqlite")
    path = altered(tmp_path / "t.sqlite", f"UPDATE NVTX_EVENTS SET eventType = {kind}")
    (series,) = analyze(path).series
    assert series.steady == analyze_plain(tmp_path).series[0].steady


def analyze_plain(folder: Path) -> TraceReport:
    decode_loop().write(folder / "plain.sqlite", force=True)
    return analyze(folder / "plain.sqlite")


@pytest.mark.parametrize("kind", [33, 34, 39, 75, 76])
def test_no_other_event_is_a_range(tmp_path: Path, kind: int) -> None:
    decode_loop().write(tmp_path / "t.sqlite")
    path = altered(tmp_path / "t.sqlite", f"UPDATE NVTX_EVENTS SET eventType = {kind}")
    found = analyze(path)
    assert len(found.trace.ranges) == 0
    assert [one.by for one in found.steps.series] == [None]  # repeats of the work


def test_imported_ranges_without_a_thread_disturb_nobody(tmp_path: Path) -> None:
    trace = decode_loop()
    thread = trace.thread(trace.process(100), 100)
    for k in range(14):
        trace.nvtx(k * 400 * US, (k * 400 + 200) * US, f"Step {k + 50}", thread=thread)
    trace._store.nullable = True
    trace.write(tmp_path / "t.sqlite")
    ours = "(SELECT id FROM StringIds WHERE value GLOB 'Step [56]?')"
    path = altered(
        tmp_path / "t.sqlite",
        f"UPDATE NVTX_EVENTS SET eventType = 70, globalTid = NULL WHERE textId IN {ours}",
    )
    found = analyze(path)
    assert [s.steady for s in found.series] == [s.steady for s in analyze_plain(tmp_path).series]


def test_ranges_of_every_domain_count(tmp_path: Path) -> None:
    trace, thread = builder()
    trace.domain(7, "harness", thread=thread)
    for k in range(3):
        trace.nvtx(k * 100, k * 100 + 50, f"Step {k}", thread=thread, domain=7 if k else 0)
        trace.launch(k * 100, k * 100 + 1, k * 100 + 5, k * 100 + 40, thread=thread)
    trace.write(tmp_path / "t.sqlite")
    (series,) = analyze(tmp_path / "t.sqlite").series
    assert series.table.operations.tolist() == [1, 1, 1]


def test_several_patterns_are_several_series(tmp_path: Path) -> None:
    decode_loop().write(tmp_path / "t.sqlite")
    patterns = (StepPattern.glob("Step *"), StepPattern.glob("Model Forward"))
    found = analyze(tmp_path / "t.sqlite", Question(patterns=patterns))
    assert [s.pattern for s in found.series] == ["Step *", "Model Forward"]
    for series in found.series:
        kinds = series.inter_ns + series.intra_ns + series.unassigned_ns + series.boundary_ns
        assert kinds == found.devices[0].idle_ns
    # The copy of the stop check lies outside the forward pass, and in a step.
    assert found.series[0].unassigned_ns == 0
    assert found.series[1].unassigned_ns > 0
    assert found.steps.unassigned == 0
