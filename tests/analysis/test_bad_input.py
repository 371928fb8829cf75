"""Bad input: one line, exit 1, no traceback, nothing written, the other files still analysed."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from harness.analysis.readers import metadata
from harness.analysis.readers.open import open_trace

from .build import builder, decode_loop


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.sqlite"
    decode_loop().write(path)
    return path


def spoil(path: Path, *statements: str) -> None:
    with sqlite3.connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    connection.close()


def one_line(run, *parts: str) -> None:
    lines = run.stderr.strip().splitlines()
    assert run.returncode == 1
    assert len(lines) == 1, run.stderr
    assert "Traceback" not in run.stderr
    assert all(part in lines[0] for part in parts), lines[0]
    assert lines[0].startswith("harness: error: ")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("text.sqlite", b"no database at all, but long enough " * 10, "is not an SQLite file"),
        ("empty.sqlite", b"", "is empty"),
        ("head.sqlite", b"SQLite format 3\x00", "is truncated"),
        ("zeros.sqlite", bytes(4096), "is not an SQLite file"),
        ("noise.sqlite", b"SQLite format 3\x00" + bytes(range(256)) * 16, ""),
    ],
)
def test_not_a_database(harness, tmp_path: Path, name: str, content: bytes, says: str) -> None:
    (tmp_path / name).write_bytes(content)
    one_line(harness("gaps", name), name, says)
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9, 0.99])
def test_truncated(inside, good: Path, keep: float) -> None:
    good.write_bytes(good.read_bytes()[: int(good.stat().st_size * keep)])
    one_line(inside("gaps", good), "is truncated", "export the report again")


def test_missing_directory_and_no_permission(inside, tmp_path: Path, good: Path) -> None:
    one_line(inside("gaps", "nowhere.sqlite"), "No such file")
    (tmp_path / "empty").mkdir()
    one_line(inside("gaps", tmp_path / "empty"), "holds no traces")
    if os.geteuid() != 0:  # root reads everything
        good.chmod(0)
        one_line(inside("gaps", good), "Permission denied")


def test_a_pipe_is_refused_and_not_waited_for(inside, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.sqlite")
    one_line(inside("gaps", "pipe.sqlite"), "not a regular file")


def test_a_database_of_something_else(inside, tmp_path: Path) -> None:
    spoil(tmp_path / "other.sqlite", "CREATE TABLE recipes(name TEXT)")
    one_line(inside("gaps", "other.sqlite"), "holds no CUDA or NVTX rows", "nsys profile")


def test_a_missing_column_is_named(inside, good: Path) -> None:
    spoil(good, "ALTER TABLE CUPTI_ACTIVITY_KIND_KERNEL DROP COLUMN correlationId")
    one_line(inside("gaps", good), "no column correlationId", "KERNEL")


def test_text_in_a_number_column_is_named(inside, good: Path) -> None:
    spoil(good, "UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET start = 'soon' WHERE rowid = 3")
    one_line(inside("gaps", good), "CUPTI_ACTIVITY_KIND_KERNEL", "start")


def test_a_view_in_place_of_a_table_is_never_run(harness, good: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n"
    spoil(
        good,
        "ALTER TABLE CUPTI_ACTIVITY_KIND_KERNEL RENAME TO hidden",
        "CREATE VIEW CUPTI_ACTIVITY_KIND_KERNEL AS SELECT i start, i end, i deviceId, i streamId, "
        f"i correlationId, i globalPid, i shortName FROM ({endless})",
    )
    run = harness("gaps", good)
    assert "Traceback" not in run.stderr


def test_null_negative_and_huge_times(inside, good: Path) -> None:
    table = "CUPTI_ACTIVITY_KIND_KERNEL"
    spoil(
        good,
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET sql = replace(sql, 'NOT NULL', '') WHERE name = '{table}'",
    )
    spoil(
        good,
        f"UPDATE {table} SET end = NULL WHERE rowid = 4",
        f"UPDATE {table} SET start = end + 5 WHERE rowid = 5",
        f"UPDATE {table} SET end = 9223372036854775807 WHERE rowid = 6",
        f"UPDATE {table} SET start = -9223372036854775807 WHERE rowid = 7",
    )
    run = inside("gaps", good)
    assert run.returncode == 0, run.stderr
    assert "1 with end <= start, 1 without a start or an end, 2 with impossible" in " ".join(
        run.stdout.split()
    )


def test_hostile_names_stay_on_their_line(inside, tmp_path: Path) -> None:
    trace, thread = builder()
    for k, text in enumerate(("Step 1\nStep 2", "\x1b[31mStep\x1b[0m 3", "S" * 10_000, "x\x00y")):
        trace.nvtx(k * 100, k * 100 + 90, text, thread=thread)
        trace.launch(k * 100 + 1, k * 100 + 2, k * 100 + 5, k * 100 + 50, thread=thread, name=text)
    trace.write(tmp_path / "hostile.sqlite")
    for options in (["--top", "5"], ["--by", "cause"], ["--format", "md", "--top", "3"], []):
        run = inside("gaps", "hostile.sqlite", "--step", "*", *options)
        assert run.returncode == 0, run.stderr
        assert "\x1b" not in run.stdout
        assert "\x00" not in run.stdout
        assert max(map(len, run.stdout.splitlines())) <= 1000


def test_other_files_are_still_analysed(inside, good: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.sqlite").write_bytes(b"")
    run = inside("gaps", "bad.sqlite", good)
    assert run.returncode == 1
    assert "What each change alone would win" in run.stdout
    assert "1 of 2 traces could be analysed" in run.stderr


def test_the_trace_is_never_written_to(inside, good: Path) -> None:
    before = good.read_bytes(), sorted(p.name for p in good.parent.iterdir())
    good.chmod(0o444)
    assert inside("gaps", good).returncode == 0
    assert (good.read_bytes(), sorted(p.name for p in good.parent.iterdir())) == before


def test_odd_paths(inside, good: Path, tmp_path: Path) -> None:
    for name in ("with space.sqlite", "what?.sqlite", "a#b%20c.sqlite", "quote'\".sqlite"):
        (tmp_path / name).write_bytes(good.read_bytes())
        assert inside("gaps", name).returncode == 0, name
    (tmp_path / "-dash.sqlite").write_bytes(good.read_bytes())
    assert inside("gaps", "--", "-dash.sqlite").returncode == 0


def test_a_path_that_begins_with_two_slashes(good: Path) -> None:
    assert len(open_trace(f"/{good}").operations) == len(open_trace(good).operations)


def test_json_that_is_too_large_for_a_manifest_is_not_read(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = good.with_suffix(".json")
    manifest.write_text('{"manifest_version": 1, "label": "mine"}')
    assert open_trace(good).source.label == "mine"
    monkeypatch.setattr(metadata, "_MANIFEST_MOST_BYTES", manifest.stat().st_size - 1)
    source = open_trace(good).source
    assert (source.label, source.manifest, source.notes) == ("good", {}, ())


@pytest.mark.parametrize("command", ["gaps --infer-steps", "show", "report -o page.html"])
def test_calls_of_no_thread(inside, good: Path, command: str) -> None:
    spoil(
        good,
        "UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET globalTid = NULL",
        "UPDATE CUPTI_ACTIVITY_KIND_KERNEL SET globalPid = 0",
        "UPDATE CUPTI_ACTIVITY_KIND_MEMCPY SET globalPid = 0",
        "DROP TABLE NVTX_EVENTS",
    )
    name, *options = command.split()
    run = inside(name, good, *options)
    assert "internal error" not in run.stderr
    trace = open_trace(good)
    assert [(one.pid, one.tid) for one in trace.threads] == [(0, 0)]
    assert set(trace.calls.thread.tolist()) == {0}
    assert (trace.operations.launch >= 0).all()
