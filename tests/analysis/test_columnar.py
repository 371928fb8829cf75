"""Parquet and Arrow exports say what the SQLite export of the same report says."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pytest

from harness.analysis.analyze import analyze
from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question, StepPattern
from harness.analysis.readers.arrow.tables import is_columnar
from harness.analysis.readers.open import open_trace
from harness.analysis.reports.base import Report
from harness.analysis.reports.json import document

from .build import decode_loop
from .columnar import FORMATS, folder_of, streams_of

STEPS = Question((StepPattern.glob("Step *"),))
REAL = ("power_iteration", "h100_2gpu_copy_bound", "graph_level", "mpi_saxpy_old_schema")


def figures(path: Path) -> str:
    """Every figure of a trace, and its longest gaps, as JSON without the name of the file."""
    report = analyze(path, STEPS)
    known = document(Report((report,), (), Question(top=5, definitions=True)))
    del known["traces"][0]["answer"]["next"]
    text = json.dumps(known, indent=1)
    return text.replace(json.dumps(report.path), '"PATH"')


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    path = tmp_path / "loop.sqlite"
    decode_loop(sync="stream").write(path)
    return path


@pytest.mark.parametrize(
    ("trace", "layout"),
    [
        *((name, "parquet") for name in REAL),
        ("graph_level", "arrow file"),
        ("mpi_saxpy_old_schema", "arrow stream"),
    ],
)
def test_a_folder_of_tables_gives_the_same_figures(
    public_traces: Path, tmp_path: Path, trace: str, layout: str
) -> None:
    export = public_traces / f"{trace}.sqlite"
    assert figures(folder_of(export, tmp_path / f"{trace}_pqtdir", layout)) == figures(export)


def test_one_file_of_arrow_streams_does_too(public_traces: Path, tmp_path: Path) -> None:
    export = public_traces / "graph_level.sqlite"
    assert figures(streams_of(export, tmp_path / "graph_level.arrows")) == figures(export)


def as_nsys_writes(name: str, table: pa.Table) -> pa.Table:
    """The types of nsys 2022.4's own Arrow export: binary text, unsigned ids, narrow integers."""
    fields = []
    for field in table.schema:
        kind = field.type
        if pa.types.is_string(kind):
            kind = pa.binary()
        elif field.name.startswith("global") or field.name.endswith("Id"):
            kind = pa.uint64() if _not_negative(table[field.name]) else kind
        elif field.name in ("eventType", "copyKind", "syncType"):
            kind = pa.int32()
        fields.append(pa.field(field.name, kind))
    return table.cast(pa.schema(fields))


def _not_negative(column: pa.ChunkedArray) -> bool:
    import pyarrow.compute as pc

    return pa.types.is_integer(column.type) and (pc.min(column).as_py() or 0) >= 0


def in_dictionaries(name: str, table: pa.Table) -> pa.Table:
    """Every column dictionary-encoded, as Arrow does with repeating values."""
    columns = {n: table[n] for n in table.column_names}
    return pa.table(
        {
            n: column if pa.types.is_null(column.type) else column.dictionary_encode()
            for n, column in columns.items()
        }
    )


def in_other_order(name: str, table: pa.Table) -> pa.Table:
    """Recent nsys promises no order of rows."""
    return table.take(pa.array(range(table.num_rows - 1, -1, -1)))


@pytest.mark.parametrize("change", [as_nsys_writes, in_dictionaries, in_other_order])
def test_other_types_of_the_same_columns(public_traces: Path, tmp_path: Path, change) -> None:
    trace = "mpi_saxpy_old_schema" if change is in_dictionaries else "graph_level"
    export = public_traces / f"{trace}.sqlite"
    changed = folder_of(export, tmp_path / f"{trace}_pqtdir", "parquet", change)
    assert figures(changed) == figures(export)


def test_rows_without_an_end_count_as_such(tmp_path: Path, loop: Path) -> None:
    def open_ended(name: str, table: pa.Table) -> pa.Table:
        if name != "CUPTI_ACTIVITY_KIND_KERNEL":
            return table
        ends = table["end"].to_pylist()
        return table.set_column(table.column_names.index("end"), "end", pa.array([None, *ends[1:]]))

    report = analyze(folder_of(loop, tmp_path / "open_pqtdir", "parquet", open_ended))
    assert report.trace.dropped.null == 1
    assert report.devices[0].operations == analyze(loop).devices[0].operations - 1


def test_missing_tables_are_tables_without_rows(tmp_path: Path, loop: Path) -> None:
    kept = {"CUPTI_ACTIVITY_KIND_KERNEL"}
    bare = folder_of(
        loop, tmp_path / "bare_pqtdir", "parquet", lambda name, t: t if name in kept else None
    )
    report = analyze(bare)
    assert not report.series
    assert report.devices[0].causes["unknown"] == report.devices[0].idle_ns > 0


def test_the_folder_bears_the_name_and_the_manifest_of_its_report(
    tmp_path: Path, loop: Path
) -> None:
    for ending in ("_pqtdir", "_arwdir", ".parquetdir"):
        folder = folder_of(loop, tmp_path / f"run.7{ending}")
        assert analyze(folder).label == "run.7"
    manifest = {"manifest_version": 1, "strategy": "mine"}
    (tmp_path / "run.7.json").write_text(json.dumps(manifest))
    report = analyze(folder)
    assert (report.label, report.trace.source.manifest) == ("mine", manifest)
    assert report.trace.path == folder


@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("keep", [0, 3, 40, -40])
def test_a_truncated_table_is_named(tmp_path: Path, loop: Path, layout: str, keep: int) -> None:
    folder = folder_of(loop, tmp_path / "cut_pqtdir", layout)
    (file,) = folder.glob("CUPTI_ACTIVITY_KIND_KERNEL.*")
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(TraceError) as found:
        analyze(folder)
    assert str(file) in str(found.value)
    assert "nsys export" in str(found.value)
    assert "\n" not in str(found.value)


def test_a_column_of_the_wrong_type_is_named(tmp_path: Path, loop: Path) -> None:
    def in_seconds(name: str, table: pa.Table) -> pa.Table:
        if name != "CUPTI_ACTIVITY_KIND_KERNEL":
            return table
        start = pa.array([ns / 1e9 for ns in table["start"].to_pylist()])
        return table.set_column(table.column_names.index("start"), "start", start)

    folder = folder_of(loop, tmp_path / "wrong_pqtdir", "parquet", in_seconds)
    with pytest.raises(TraceError, match=r"KERNEL\.start holds double values, not integers"):
        analyze(folder)


def test_a_missing_column_is_named(tmp_path: Path, loop: Path) -> None:
    def without(name: str, table: pa.Table) -> pa.Table:
        return table.drop_columns(["end"]) if name == "CUPTI_ACTIVITY_KIND_KERNEL" else table

    with pytest.raises(TraceError, match=r"table CUPTI_ACTIVITY_KIND_KERNEL has no column end"):
        analyze(folder_of(loop, tmp_path / "less_pqtdir", "parquet", without))


def test_folders_that_are_no_trace(inside, tmp_path: Path, loop: Path) -> None:
    (tmp_path / "none_pqtdir").mkdir()
    assert not is_columnar(tmp_path / "none_pqtdir")
    run = inside("gaps", "none_pqtdir")
    assert run.returncode == 1
    assert "none_pqtdir is a directory" in run.stderr
    folder_of(loop, tmp_path / "other_pqtdir", "parquet", lambda n, t: t if "GPU" in n else None)
    run = inside("gaps", "other_pqtdir")
    assert "other_pqtdir holds no CUDA or NVTX rows (1 tables" in run.stderr
    (tmp_path / "text_pqtdir").mkdir()
    (tmp_path / "text_pqtdir" / "CUPTI_ACTIVITY_KIND_KERNEL.parquet").write_text("no, text")
    run = inside("gaps", "text_pqtdir")
    assert "KERNEL.parquet is not a Parquet or Arrow file" in run.stderr


def test_as_a_user_types_it(harness, tmp_path: Path, loop: Path) -> None:
    folder_of(loop, tmp_path / "run.parquetdir")
    run = harness("gaps", "run.parquetdir")
    assert (run.returncode, run.stderr) == (0, "")
    loop.rename(tmp_path / "run.sqlite")
    same = harness("gaps", "run.sqlite").stdout
    assert run.stdout.replace("run.parquetdir", "run.sqlite") == same
    shutil.rmtree(tmp_path / "run.parquetdir")
    assert "No such file" in harness("gaps", "run.parquetdir").stderr


def test_without_pyarrow_the_extra_is_named(harness, tmp_path: Path, loop: Path) -> None:
    folder_of(loop, tmp_path / "run_pqtdir")
    (tmp_path / "shadow").mkdir()
    (tmp_path / "shadow" / "pyarrow.py").write_text("raise ImportError('not installed')\n")
    run = harness("gaps", "run_pqtdir", PYTHONPATH=str(tmp_path / "shadow"))
    assert run.returncode == 1
    assert "pip install 'nsys-harness[parquet]'" in run.stderr


def test_text_that_is_none(loop: Path, tmp_path: Path) -> None:
    """Columns that say they hold UTF-8 are not believed, no more than in SQLite."""

    def spoil(name: str, table: pa.Table) -> pa.Table:
        if name != "StringIds":
            return table
        raw = [value.encode() + b" \xff" for value in table["value"].to_pylist()]
        plain = pa.array(raw, pa.binary())
        values = pa.Array.from_buffers(pa.string(), len(raw), plain.buffers())
        return table.set_column(table.column_names.index("value"), "value", values)

    folder = folder_of(loop, tmp_path / "spoilt_arwdir", "arrow file", spoil)
    assert all(name.endswith(" \ufffd") for name in open_trace(folder).calls.names)


def test_offsets_that_leave_the_table(loop: Path, tmp_path: Path) -> None:
    folder = folder_of(loop, tmp_path / "spoilt_arwdir", "arrow file")
    file = folder / "StringIds.arrow"
    with pa.ipc.open_file(file) as written:
        texts = written.read_all()["value"].chunk(0)
    sound = texts.buffers()[1].to_pybytes()[: 4 * (len(texts) + 1)]
    spoilt = sound[:8] + (-5).to_bytes(4, "little", signed=True) + sound[12:]
    data = file.read_bytes()
    assert data.count(sound) == 1
    file.write_bytes(data.replace(sound, spoilt))
    with pytest.raises(TraceError, match=r"StringIds\.arrow cannot be read"):
        open_trace(folder)


def test_times_beyond_nanoseconds(loop: Path, tmp_path: Path) -> None:
    def spoil(name: str, table: pa.Table) -> pa.Table:
        if name != "CUPTI_ACTIVITY_KIND_KERNEL":
            return table
        late = pa.array([2**62] * table.num_rows, pa.duration("ms"))
        return table.set_column(table.column_names.index("end"), "end", late)

    folder = folder_of(loop, tmp_path / "late_pqtdir", "parquet", spoil)
    with pytest.raises(TraceError, match=r"KERNEL\.parquet cannot be read"):
        open_trace(folder)


def test_the_folder_that_one_stands_in(
    tmp_path: Path, loop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(loop, tmp_path / "run_pqtdir")
    inner = folder / "inner"
    inner.mkdir()
    for here, name in ((folder, "."), (inner, "..")):
        monkeypatch.chdir(here)
        report = analyze(name)
        assert (report.label, report.trace.path) == ("run", folder)
