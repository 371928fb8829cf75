"""The results file: what it keeps, refuses and survives."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from harness.bench.store import Json, Store, steps_from_blob, steps_to_blob
from harness.errors import HarnessError

from .sessions import write


def test_sessions_are_added_and_found(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    first = write(path, {"kv-cache": (1.0, 2.0)})
    second = write(path, {"pipelined": (3.0,)})
    with Store.reading(path) as store:
        assert [row["id"] for row in store.sessions()] == [first, second]
        assert store.session(first)["id"] == first
        assert store.session()["id"] == second
        (cell,) = store.rows("cells", session=second)
        assert (cell["strategy"], cell["stop_check"]) == ("pipelined", "pingpong")
        with pytest.raises(HarnessError, match="begins 2 sessions"):
            store.session("20")
        with pytest.raises(HarnessError, match="no session 'x'"):
            store.session("x")


def test_steps_are_kept_to_the_nanosecond() -> None:
    steps = np.array([1, 2**40, 0], np.int64)
    assert steps_from_blob(steps_to_blob(steps)).tolist() == steps.tolist()
    assert len(steps_from_blob(b"1234567")) == len(steps_from_blob(None)) == 0


def test_a_damaged_json_column_is_nothing() -> None:
    assert Json("{").value({}) == Json(None).value({}) == Json("[1]").value({}) == {}


def folder(path: Path) -> None:
    path.mkdir()


def text(path: Path) -> None:
    path.write_text("no database at all, but long enough to look for a header in it" * 3)


def other_database(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table t (a)")
    connection.commit()
    connection.close()


def newer(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("create table harness_results (id, results_version)")
    connection.execute("insert into harness_results values (1, 99)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (folder, "is a folder"),
        (text, "is not an SQLite file"),
        (other_database, "is not a results file"),
        (newer, "has results version 99"),
    ],
)
def test_what_is_no_results_file_is_left_alone(tmp_path: Path, make, says: str) -> None:
    path = tmp_path / "r.db"
    make(path)
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(HarnessError, match=says), Store.writing(path):
        pass
    with pytest.raises(HarnessError, match=says), Store.reading(path):
        pass
    assert (path.read_bytes() if path.is_file() else None) == before


def test_reading_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(HarnessError, match="does not exist"), Store.reading(tmp_path / "r.db"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_one_writer_at_a_time_and_readers_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    session = write(path, {"kv-cache": (1.0,)})
    with Store.writing(path):
        refused = pytest.raises(HarnessError, match="another harness bench is writing")
        with refused, Store.writing(path):
            pass
        with Store.reading(path) as store:
            assert store.session()["id"] == session
    with Store.writing(path):
        pass


KILLED = """
import os, signal, sys
sys.path.insert(0, {root!r})
from pathlib import Path
from tests.bench.sessions import write
from harness.bench.store import Store
path = Path({path!r})
session = write(path, {{"kv-cache": (1.0, 2.0)}})
with Store.writing(path) as store:
    connection = store.db.conn
    connection.execute("pragma cache_spill = 1")
    connection.execute("pragma cache_size = 1")
    connection.execute("begin")
    for k in range(2000):
        connection.execute("insert into clocks (session, gpus) values (?, ?)", (session, "x" * 500))
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_kill_in_the_middle_of_a_write_is_rolled_back(tmp_path: Path) -> None:
    path = tmp_path / "r.db"
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", KILLED.format(root=root, path=str(path))], check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert os.path.exists(f"{path}-journal")  # it died inside the transaction
    with Store.reading(path) as store:
        (session,) = store.sessions()
        assert len(store.rows("runs", session=session["id"])) == 2
        assert len(store.rows("clocks", session=session["id"])) == 1
