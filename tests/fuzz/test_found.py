"""What the fuzzer broke, each made small: it stays mended."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.gains.gpu import read_gpu
from harness.analysis.model.errors import TraceError
from harness.analysis.model.trace import Trace
from harness.analysis.readers.open import open_trace
from harness.analysis.report import TraceReport
from tests.analysis.test_metamorphic import figures

from . import bases

KERNEL = "CUPTI_ACTIVITY_KIND_KERNEL"


def sqlite_with(tmp_path: Path, *statements: str) -> TraceReport:
    path = tmp_path / "t.sqlite"
    path.write_bytes(bases.sqlite_base("loop"))
    with closing(sqlite3.connect(path)) as connection, connection:
        for statement in statements:
            connection.execute(statement)
    return analyze(path)


def json_with(tmp_path: Path, change: Callable[[dict[str, Any]], None]) -> Trace:
    tree = json.loads(bases.json_base("kineto_2_11"))
    for event in tree["traceEvents"]:
        change(event)
    path = tmp_path / "t.json"
    path.write_text(json.dumps(tree))
    return open_trace(path)


@pytest.mark.parametrize("marks", ["'text'", "x'00'", "NULL", "1", "7 - 2 * start"])
def test_a_column_named_rowid_is_not_the_rowid(tmp_path: Path, marks: str) -> None:
    before = sqlite_with(tmp_path)
    after = sqlite_with(
        tmp_path,
        f"CREATE TABLE moving AS SELECT * FROM {KERNEL}",
        f"DROP TABLE {KERNEL}",
        f"CREATE TABLE {KERNEL} AS SELECT *, {marks} AS rowid FROM moving",
        "DROP TABLE moving",
    )
    assert figures(after) == figures(before)


def test_columns_with_all_three_names_of_the_rowid(tmp_path: Path) -> None:
    before = sqlite_with(tmp_path)
    after = sqlite_with(
        tmp_path,
        *(f"ALTER TABLE {KERNEL} ADD COLUMN {name} TEXT" for name in ("RowId", "OID", "_rowid_")),
    )
    assert figures(after) == figures(before)


def test_rows_out_of_order_are_damage(tmp_path: Path) -> None:
    """More rows than there are rowids between the first and the last."""
    path = tmp_path / "t.sqlite"
    path.write_bytes(bases.sqlite_base("loop"))
    with closing(sqlite3.connect(path)) as connection:
        query = f"SELECT rootpage FROM sqlite_master WHERE name = '{KERNEL}'"
        (root,) = connection.execute(query).fetchone()
        rows = connection.execute(f"SELECT count(*) FROM {KERNEL}").fetchone()[0]
    data = bytearray(path.read_bytes())
    head = (root - 1) * bases.PAGE
    assert data[head] == 5  # an interior page
    place = head + int.from_bytes(data[head + 12 : head + 14], "big")
    first = int.from_bytes(data[place : place + 4], "big")
    leaf = (first - 1) * bases.PAGE
    cell = leaf + int.from_bytes(data[leaf + 8 : leaf + 10], "big")
    assert data[cell + 1] == 1  # rowid 1 of the first row
    data[cell + 1] = rows - 1
    path.write_bytes(data)
    with pytest.raises(TraceError, match="out of order"):
        analyze(path)


def test_a_schema_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    data = bases.sqlite_base("loop")
    path.write_bytes(
        data.replace(b"CREATE TABLE NVTX_EVENTS", b"CREATE TABLE \xff\xfe\x80X_EVENTS")
    )
    with pytest.raises(TraceError, match=r"t\.sqlite"):
        analyze(path)


def test_a_table_whose_name_is_bytes(tmp_path: Path) -> None:
    before = sqlite_with(tmp_path)
    after = sqlite_with(
        tmp_path,
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET name = CAST(name AS BLOB) WHERE name = 'PROCESSES'",
    )
    assert figures(after) == figures(before)


@pytest.mark.parametrize("odd", [[], {}, [1, {"a": None}], {"b": []}], ids=repr)
@pytest.mark.parametrize("key", ["pid", "tid", "name"])
def test_lists_and_objects_where_json_should_have_a_word(
    tmp_path: Path, key: str, odd: object
) -> None:
    def change(event: dict[str, Any]) -> None:
        if event.get("cat") != "kernel":
            event[key] = odd

    assert len(json_with(tmp_path, change).calls)


@pytest.mark.parametrize("number", [-0.0, 100.0, 1e300])
def test_a_process_by_a_float(tmp_path: Path, number: float) -> None:
    def change(event: dict[str, Any]) -> None:
        event["pid"] = number if event.get("cat") == "cuda_runtime" else int(min(number, 100))

    assert len(json_with(tmp_path, change).operations)


def test_a_number_that_no_decimal_holds(tmp_path: Path) -> None:
    path = tmp_path / "t.json"
    text = bases.json_base("kineto_2_11").decode()
    path.write_text(text.replace('"ts": 1.', '"ts": 1e999999999, "was": 1.', 3))
    assert len(open_trace(path).calls)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("1" + "0" * 400, "value is a number"),
        ("1e30", "it must be 0 to 1e"),
        ("9" * 5000, "is not TOML"),
    ],
)
def test_numbers_of_a_gpu(tmp_path: Path, value: str, says: str) -> None:
    path = tmp_path / "mine.toml"
    before = "gap_ns = { value = "
    head, _, rest = bases.gpu_base().decode().partition(before)
    assert rest
    path.write_text(head + before + value + rest[rest.index(",") :])
    with pytest.raises(TraceError, match=says):
        read_gpu(path)


@pytest.mark.parametrize("value", ['"\\ud800"', '"a\\udfffb"', "NaN", "-Infinity", "1e999"])
def test_a_manifest_that_nothing_could_print(tmp_path: Path, value: str) -> None:
    from harness.analysis.reports.base import Report, Terminal, reporters

    (tmp_path / "t.json").write_text(
        f'{{"manifest_version": 1, "origin": "measured", "calibration": {{"method": {value}}}}}'
    )
    report = sqlite_with(tmp_path)
    for name, reporter in reporters().items():
        text = reporter.render(Report((report,)), Terminal())
        assert text.encode("utf-8")
        if name == "json":
            json.loads(text, parse_constant=pytest.fail)


def test_a_name_that_does_not_fit_a_line(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(bases.gpu_base().decode().replace('name = "', 'name = "a\\u001b[31m', 1))
    with pytest.raises(TraceError, match="does not fit a line"):
        read_gpu(path)


def test_a_source_that_says_nothing(tmp_path: Path) -> None:
    import re

    path = tmp_path / "mine.toml"
    text = bases.gpu_base().decode()
    path.write_text(re.sub(r"(?s)(\[sources\]\s+\w+ = )\".*?\"", r'\1" "', text, count=1))
    with pytest.raises(TraceError, match="says nothing"):
        read_gpu(path)
