"""SQLite files made by others: reading one writes nothing, deletes nothing, and comes to an end."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.readers.errors import NotAPlainTable, UnfinishedWrite
from harness.analysis.readers.open import open_trace
from harness.analysis.readers.sqlite.foreign import connected, read_only
from tests.endless import (
    ENDLESS,
    IN_PLACE_OF_A_TABLE,
    kill_in_transaction,
    name_a_file_to_delete,
    replace_table,
    state_of,
)

from .build import decode_loop

KERNEL = "CUPTI_ACTIVITY_KIND_KERNEL"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "good.sqlite"
    path.parent.mkdir()
    decode_loop().write(path)
    return path


def test_a_hot_journal_is_named_and_everything_left_as_it_is(harness, good: Path) -> None:
    journal = kill_in_transaction(good, f"UPDATE {KERNEL} SET end = end + 100000")
    before = state_of(good.parent)
    for arguments in (["gaps", good], ["compare", good, good], ["report", good, "-o", "r.html"]):
        done = harness(*map(str, arguments))
        assert done.returncode == 1
        assert f"unfinished write beside it, {journal.name}" in done.stderr
        assert state_of(good.parent) == before


def test_a_file_that_a_journal_names_is_not_deleted(good: Path, tmp_path: Path) -> None:
    victim = tmp_path / "precious"
    victim.write_text("mine")
    name_a_file_to_delete(kill_in_transaction(good), victim)
    with pytest.raises(UnfinishedWrite):
        open_trace(good)
    assert victim.read_text() == "mine"


def test_a_pending_log_is_refused_through_a_link_too(good: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite"
    link.symlink_to(good)
    with closing(sqlite3.connect(good)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
        with writer:
            writer.execute(f"DELETE FROM {KERNEL} WHERE rowid = 1")
        for path in (good, link):
            with pytest.raises(UnfinishedWrite, match=r"good\.sqlite-wal"):
                open_trace(path)


def test_a_file_that_keeps_a_log_is_read_and_nothing_left_beside_it(good: Path) -> None:
    rows = len(open_trace(good).operations)
    with closing(sqlite3.connect(good)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
    before = state_of(good.parent)
    assert len(open_trace(good).operations) == rows
    assert state_of(good.parent) == before


def test_an_empty_journal_is_no_unfinished_write(good: Path) -> None:
    for ending in ("-journal", "-wal"):
        Path(f"{good}{ending}").touch()
    before = state_of(good.parent)
    assert len(open_trace(good).operations)
    assert state_of(good.parent) == before


@pytest.mark.parametrize("table", [KERNEL, "NVTX_EVENTS", "StringIds"])
@pytest.mark.parametrize("kind", IN_PLACE_OF_A_TABLE)
def test_what_is_no_plain_table_is_refused(good: Path, kind: str, table: str) -> None:
    replace_table(good, table, kind)
    with pytest.raises(NotAPlainTable, match=f"(?i){table} is not a plain table"):
        open_trace(good)


def test_a_table_whose_name_has_other_letters_is_read(good: Path) -> None:
    rows = len(open_trace(good).ranges)
    with closing(sqlite3.connect(good)) as writer:
        writer.execute("ALTER TABLE NVTX_EVENTS RENAME TO x_")
        writer.execute("ALTER TABLE x_ RENAME TO nvtx_events")
    assert len(open_trace(good).ranges) == rows


def test_views_that_nobody_reads_do_no_harm(good: Path) -> None:
    rows = len(open_trace(good).operations)
    with closing(sqlite3.connect(good)) as writer:
        writer.execute(f"CREATE VIEW mine AS {ENDLESS}")
    assert len(open_trace(good).operations) == rows


def test_a_computed_column_is_not_read(good: Path) -> None:
    rows = len(open_trace(good).operations)
    with closing(sqlite3.connect(good)) as writer:
        writer.execute(f"ALTER TABLE {KERNEL} ADD COLUMN large AS (zeroblob(400000000))")
    assert len(open_trace(good).operations) == rows


def test_an_index_is_not_trusted(good: Path) -> None:
    rows = len(open_trace(good).ranges)
    with closing(sqlite3.connect(good)) as writer:
        writer.execute("CREATE INDEX kinds ON NVTX_EVENTS (eventType) WHERE eventType > 70")
        writer.execute("PRAGMA writable_schema = ON")
        # An index over other rows than it says gives none of those that are asked for.
        writer.execute("UPDATE sqlite_master SET sql = replace(sql, ' WHERE eventType > 70', '')")
        writer.commit()
    assert len(open_trace(good).ranges) == rows


def test_a_question_that_takes_too_long_is_given_up(
    good: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.analysis.readers.sqlite.foreign.PATIENCE_S", 0.2)
    before = time.monotonic()
    with (
        connected(read_only(good)) as connection,
        pytest.raises(sqlite3.OperationalError, match="interrupted"),
    ):
        connection.execute(f"SELECT sum(n) FROM ({ENDLESS})").fetchone()
    assert time.monotonic() - before < 60


def test_a_connection_to_a_foreign_file_writes_nothing(good: Path) -> None:
    with (
        connected(f"{good.as_uri()}?mode=rw") as connection,
        pytest.raises(sqlite3.OperationalError, match="readonly"),
    ):
        connection.execute(f"DELETE FROM {KERNEL}")
