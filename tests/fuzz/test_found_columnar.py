"""What the fuzzer broke in folders of Parquet and Arrow tables, each made small."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.errors import TraceError
from harness.analysis.report import TraceReport
from tests.analysis.columnar import FORMATS, folder_of, streams_of, write_parquet
from tests.analysis.test_metamorphic import figures

from . import bases
from .oracle import in_time, one_line

KERNEL = "CUPTI_ACTIVITY_KIND_KERNEL"
NAMES = "StringIds"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    path = tmp_path / "t.sqlite"
    path.write_bytes(bases.sqlite_base("loop"))
    return path


def replaced(export: Path, table: str, column: str, values: pa.Array, layout: str) -> Path:
    def change(name: str, one: pa.Table) -> pa.Table:
        if name != table:
            return one
        return one.set_column(one.column_names.index(column), column, values)

    return folder_of(export, export.with_suffix(".parquetdir"), layout, change)


def refusal(path: Path) -> str:
    with in_time(), pytest.raises(TraceError) as found:
        analyze(path)
    return one_line(found.value, path)


def count_of(export: Path, table: str) -> int:
    from tests.analysis.columnar import tables_of

    return int(dict(tables_of(export))[table].num_rows)


def read_same(folder: Path, export: Path) -> TraceReport:
    report = analyze(folder)
    assert figures(report) == figures(analyze(export))
    return report


@pytest.mark.parametrize("layout", FORMATS)
def test_texts_that_are_no_utf8(export: Path, layout: str) -> None:
    raw = pa.array([b"\xff\xfe"] * count_of(export, NAMES), pa.binary())
    odd = pa.Array.from_buffers(pa.string(), len(raw), raw.buffers())
    folder = replaced(export, NAMES, "value", odd, layout)
    assert analyze(folder).all_idle_ns == analyze(export).all_idle_ns


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda p: os.symlink("/dev/zero", p)])
def test_what_is_no_file_is_not_waited_for(export: Path, make: Callable[[Path], None]) -> None:
    folder = folder_of(export, export.with_suffix(".parquetdir"))
    file = folder / f"{KERNEL}.parquet"
    file.unlink()
    make(file)
    assert "is not a regular file" in refusal(folder)


def test_a_link_to_nothing(export: Path) -> None:
    folder = folder_of(export, export.with_suffix(".parquetdir"))
    (folder / "NVTX_EVENTS.parquet").unlink()
    (folder / "NVTX_EVENTS.parquet").symlink_to("nothing")
    assert "No such file" in refusal(folder)


def test_times_that_do_not_fit(export: Path) -> None:
    times = pa.array([2**62] * count_of(export, KERNEL), pa.timestamp("s"))
    assert "cannot be read" in refusal(replaced(export, KERNEL, "start", times, "arrow file"))


def test_a_table_in_two_files(export: Path) -> None:
    folder = folder_of(export, export.with_suffix(".parquetdir"))
    (folder / f"{KERNEL}.arrow").write_bytes((folder / f"{KERNEL}.parquet").read_bytes())
    assert f"holds table {KERNEL} twice" in refusal(folder)


def test_a_table_twice_in_one_file(export: Path, tmp_path: Path) -> None:
    file = streams_of(export, tmp_path / "run.arrows")
    file.write_bytes(file.read_bytes() * 2)
    assert "twice" in refusal(file)


def test_two_columns_of_one_name(export: Path) -> None:
    def doubled(name: str, one: pa.Table) -> pa.Table:
        return one.append_column("start", one["end"]) if name == KERNEL else one

    folder = folder_of(export, export.with_suffix(".parquetdir"), "arrow file", doubled)
    assert "two columns of one name" in refusal(folder)


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.timestamp("ns")], ids=str)
def test_names_that_are_no_texts(export: Path, kind: pa.DataType) -> None:
    count = count_of(export, NAMES)
    values = pa.array([["Step 1"]] * count if pa.types.is_list(kind) else [7] * count, kind)
    assert "values, not texts" in refusal(replaced(export, NAMES, "value", values, "arrow file"))


def test_ids_beyond_a_dictionary(export: Path) -> None:
    count = count_of(export, NAMES)
    odd = pa.DictionaryArray.from_arrays(pa.array([99] * count), pa.array(["a"]), safe=False)
    assert NAMES in refusal(replaced(export, NAMES, "value", odd, "arrow stream"))


def test_rows_that_cost_no_bytes(export: Path) -> None:
    folder = folder_of(export, export.with_suffix(".parquetdir"))
    names = ("start", "end", "deviceId", "streamId", "correlationId", "globalPid")
    kinds = {n: pa.array([7] * 2_000_000) for n in names}
    write_parquet(pa.table(kinds), KERNEL, folder)
    assert "it holds 2000000 rows in" in refusal(folder)


def test_rows_that_share_a_long_text(export: Path) -> None:
    """20,000 names of a quarter of a megabyte: 5 GB, written out."""
    folder = folder_of(export, export.with_suffix(".parquetdir"))
    long = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000), pa.array(["x" * 250_000]))
    write_parquet(pa.table({"id": range(20_000), "value": long}), NAMES, folder)
    assert "holds more text than" in refusal(folder)
