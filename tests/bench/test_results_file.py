"""Results files that others made, or that were killed: reading one changes nothing."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from harness.bench.errors import NotResults, ResultsDamaged, ResultsJournal
from harness.bench.results_file import is_results
from harness.bench.store import Store
from tests.conftest import ROOT
from tests.endless import (
    IN_PLACE_OF_A_TABLE,
    kill_in_transaction,
    name_a_file_to_delete,
    replace_table,
    state_of,
)

from .sessions import write


@pytest.fixture
def results(tmp_path: Path) -> Path:
    path = tmp_path / "in" / "r.db"
    path.parent.mkdir()
    write(path, {"kv-cache": (1.0, 2.0)})
    return path


def test_what_a_killed_writer_left_is_rolled_back_in_a_copy(results: Path) -> None:
    kill_in_transaction(results, "DELETE FROM runs")
    before = state_of(results.parent)
    with Store.reading(results) as store:
        assert len(store.rows("runs")) == 2
    assert state_of(results.parent) == before
    assert is_results(results)
    with Store.writing(results) as store:  # the next writer rolls it back where it is
        assert len(store.rows("runs")) == 2
    assert sorted(p.name for p in results.parent.iterdir()) == ["r.db"]


@pytest.mark.parametrize("leftover", [True, False], ids=["journal", "stray"])
def test_a_file_that_a_journal_names_is_not_deleted(
    results: Path, tmp_path: Path, harness, leftover: bool
) -> None:
    victim = tmp_path / "precious"
    victim.write_text("mine")
    journal = Path(f"{results}-journal")
    if leftover:
        kill_in_transaction(results)
    else:
        journal.touch()
    name_a_file_to_delete(journal, victim)
    before = state_of(results.parent)
    for use in (Store.reading, Store.writing):
        with pytest.raises(ResultsJournal, match=r"r\.db-journal names another file"), use(results):
            pass
    for arguments in (["results", results], ["compare", results, results]):
        assert harness(*map(str, arguments)).returncode == 1
    assert victim.read_text() == "mine"
    assert state_of(results.parent) == before


WRITER = """
import sys
from pathlib import Path
from harness.bench.store import Store
with Store.writing(Path(sys.argv[1])) as store:
    connection = store.db.conn
    connection.execute("pragma cache_spill = 1")
    connection.execute("pragma cache_size = 1")
    connection.execute("begin")
    connection.execute("delete from runs")
    for k in range(500):
        connection.execute("insert into clocks (session, gpus) values ('s', ?)", ("x" * 500,))
    print("in", flush=True)
    sys.stdin.read()
    connection.execute("rollback")
"""


def test_results_are_read_with_the_locks_of_a_writer(results: Path) -> None:
    script = [sys.executable, "-c", WRITER, str(results)]
    with subprocess.Popen(
        script, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "in\n"
        # It has spilled pages into the file, so it holds the file: nobody reads half a write.
        with pytest.raises(Exception, match="locked"), Store.reading(results):
            pass
        writer.communicate("")
    assert writer.returncode == 0
    with Store.reading(results) as store:
        assert len(store.rows("runs")) == 2


def test_a_file_that_keeps_a_log_is_refused_and_nothing_left_beside_it(results: Path) -> None:
    with closing(sqlite3.connect(results)) as writer:
        writer.execute("PRAGMA journal_mode = WAL")
    before = state_of(results.parent)
    with pytest.raises(ResultsJournal, match="keeps a log"), Store.reading(results):
        pass
    assert state_of(results.parent) == before


def test_a_log_beside_a_file_that_keeps_none_is_left_alone(results: Path) -> None:
    Path(f"{results}-wal").write_bytes(b"")
    before = state_of(results.parent)
    with pytest.raises(ResultsJournal), Store.reading(results):
        pass
    assert state_of(results.parent) == before


@pytest.mark.parametrize("table", ["harness_results", "sessions", "runs"])
@pytest.mark.parametrize("kind", IN_PLACE_OF_A_TABLE)
def test_what_is_no_plain_table_is_refused(results: Path, kind: str, table: str) -> None:
    replace_table(results, table, kind)
    with pytest.raises(ResultsDamaged, match=f"{table} is not a plain table"):  # noqa: SIM117
        with Store.reading(results):
            pass


def test_a_computed_column_is_refused(results: Path) -> None:
    with closing(sqlite3.connect(results)) as writer:
        writer.execute("ALTER TABLE runs ADD COLUMN large AS (zeroblob(400000000))")
    with pytest.raises(ResultsDamaged, match="runs is not a plain table"), Store.reading(results):
        pass


def test_rows_that_say_more_than_the_file_can_hold_are_given_up(
    results: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("harness.bench.store._MOST_BYTES", 0)
    monkeypatch.setattr("harness.bench.store._SMALL_BYTES", 500)
    with Store.reading(results) as store, pytest.raises(ResultsDamaged, match="runs holds more"):
        store.rows("runs")


def test_what_is_no_file_is_no_results_file(tmp_path: Path) -> None:
    shutil.copyfile(__file__, tmp_path / "text.db")
    for path in (tmp_path, tmp_path / "text.db"):
        with pytest.raises(NotResults), Store.reading(path):
            pass
