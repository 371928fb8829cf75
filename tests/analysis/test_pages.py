"""Tables read from their pages against SQLite reading the same: every row, or SQLite's word."""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.analysis.model.errors import TraceError
from harness.analysis.model.schema import NULL, Column, Table
from harness.analysis.readers.sqlite import page_plan as plain
from harness.analysis.readers.sqlite.database import Database, open_database
from harness.analysis.readers.sqlite.page_plan import PagePlan
from harness.analysis.readers.sqlite.pages import NotPlain

WANTED = Table("t", (Column("a"), Column("b"), Column("c", absent=7)))
NAMED = Table("t", (Column("a"), Column("b"), Column("name", absent="", text=True)))
EVENTS = Table("t", NAMED.columns, among=("b", (59, 60)))

SMALL = st.integers(-3, 130)
NUMBERS = st.one_of(
    st.none(), SMALL, st.sampled_from([0, 1, 2**15, -(2**23), 2**31, 2**47, 2**47 - 1, -(2**63)]),
    st.integers(-(2**63), 2**63 - 1),
)  # fmt: skip
TEXTS = st.one_of(st.none(), st.text(max_size=5), st.integers(0, 6000).map(lambda n: "x" * n))
LOOSE = st.one_of(NUMBERS, st.floats(allow_nan=False), TEXTS, st.binary(max_size=9))


def make(path: Path, sql: str, rows: Sequence[tuple], *, page: int = 4096) -> Path:
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA page_size = {page}")
        database.execute("PRAGMA synchronous = OFF")
        database.execute(sql)
        if rows:
            marks = ", ".join("?" * len(rows[0]))
            database.executemany(f"INSERT INTO t VALUES ({marks})", rows)
        database.commit()
    return path


class _NoPlan(PagePlan):
    def __init__(self, *_: object) -> None:
        raise NotPlain


def said(database: Database, table: Table, *, pages: bool) -> dict[str, list] | str:
    """The columns, or what the error says; without `pages` as SQLite reads them."""
    try:
        with pytest.MonkeyPatch.context() as patch:
            if not pages:
                patch.setattr("harness.analysis.readers.sqlite.database.PagePlan", _NoPlan)
            columns = database.read(table)
    except TraceError as error:
        return str(error)
    for column in table.columns:
        assert column.text or columns[column.name].dtype == np.int64
    return {name: list(values) for name, values in columns.items()}


def plan_of(path: Path, table: Table) -> PagePlan | None:
    """The finished plan by pages; None where it was refused at any point."""
    database = open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        try:
            plan = PagePlan(path, connection, table, "t", database.layout["t"])
        except NotPlain:
            return None
    for job in plan.jobs():
        job()
    return None if plan.refused else plan


def same(path: Path, table: Table) -> dict[str, list] | str:
    """What pages give, after it was found to be what SQLite gives."""
    database = open_database(path)
    by_pages = said(database, table, pages=True)
    assert by_pages == said(database, table, pages=False)
    return by_pages


def test_a_row_that_its_page_names_twice_is_refused(tmp_path: Path) -> None:
    rows = [(n, n, n, "wide enough") for n in range(200)]
    path = make(tmp_path / "t.sqlite", "CREATE TABLE t (a INT, b INT, c INT, d TEXT)", rows)
    assert plan_of(path, WANTED) is not None
    data = bytearray(path.read_bytes())
    leaf = next(k for k in range(4096, len(data), 4096) if data[k] == 13)
    data[leaf + 8 : leaf + 10] = data[leaf + 10 : leaf + 12]  # the first cell is the second
    path.write_bytes(data)
    assert plan_of(path, WANTED) is None
    with pytest.raises(TraceError, match="holds one row twice"):
        open_database(path).read(WANTED)


def test_a_page_that_the_tree_names_twice_is_refused(tmp_path: Path) -> None:
    rows = [(n, n, n, "wide enough") for n in range(2000)]
    path = make(tmp_path / "t.sqlite", "CREATE TABLE t (a INT, b INT, c INT, d TEXT)", rows)
    data = bytearray(path.read_bytes())
    inner = next(k for k in range(4096, len(data), 4096) if data[k] == 5)
    cells = int.from_bytes(data[inner + 3 : inner + 5], "big")
    at = [
        int.from_bytes(data[inner + 12 + 2 * k : inner + 14 + 2 * k], "big") for k in range(cells)
    ]
    data[inner + at[0] : inner + at[0] + 4] = data[inner + at[1] : inner + at[1] + 4]
    path.write_bytes(data)
    assert plan_of(path, WANTED) is None
    with pytest.raises(TraceError, match="stands in it twice"):
        open_database(path).read(WANTED)


@settings(max_examples=40, deadline=None)
@given(
    rows=st.lists(st.tuples(NUMBERS, TEXTS, NUMBERS, NUMBERS), max_size=30),
    page=st.sampled_from([512, 1024, 4096, 65536]),
    gone=st.sets(st.integers(1, 40), max_size=10),
    repeat=st.sampled_from([1, 40]),
)
def test_integers_come_as_sqlite_gives_them(
    rows: list[tuple], page: int, gone: set[int], repeat: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.sqlite"
        sql = "CREATE TABLE t (a INTEGER, other TEXT, b INT, c BIGINT, last BLOB)"
        make(path, sql, [(*row, "tail " * 5) for row in rows] * repeat, page=page)
        with closing(sqlite3.connect(path)) as database:
            database.executemany("DELETE FROM t WHERE rowid = ?", [(row,) for row in gone])
            database.commit()
        found = same(path, WANTED)
        assert isinstance(found, dict)
        with closing(sqlite3.connect(path)) as database:
            stored = database.execute("SELECT a, b, c FROM t ORDER BY rowid").fetchall()
        if stored and page > 512 and all(len(text or "") < 40 for _, text, *_ in rows):
            assert plan_of(path, WANTED) is not None
        for k, name in enumerate("abc"):
            assert found[name] == [NULL if row[k] is None else row[k] for row in stored]


@settings(max_examples=40, deadline=None)
@given(rows=st.lists(st.tuples(LOOSE, LOOSE, TEXTS), max_size=12), events=st.booleans())
def test_any_values_come_as_sqlite_gives_them_or_with_its_words(
    rows: list[tuple], events: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = make(Path(folder) / "t.sqlite", "CREATE TABLE t (a INTEGER, b INTEGER, name)", rows)
        same(path, EVENTS if events else NAMED)


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_spoilt_file_ends_in_rows_or_in_one_line(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.sqlite"
        rows = [(n, n * n, None) for n in range(300)]
        make(path, "CREATE TABLE t (a INTEGER, b INTEGER, c INTEGER)", rows, page=512)
        content = bytearray(path.read_bytes())
        for _ in range(data.draw(st.integers(1, 4))):
            content[data.draw(st.integers(512, len(content) - 1))] = data.draw(st.integers(0, 255))
        path.write_bytes(content)
        try:
            database = open_database(path)
            if database.has(WANTED):
                said(database, WANTED, pages=True)
        except TraceError:
            pass


def test_a_deep_tree_of_small_pages_in_small_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plain, "_CHUNK_BYTES", 2048)
    rows = [(n * 10**9, n % 3 - 1, None if n % 5 else n) for n in range(20_000)]
    path = make(tmp_path / "t.sqlite", "CREATE TABLE t (a INTEGER, b INT, c INT)", rows, page=512)
    plan = plan_of(path, WANTED)
    assert plan is not None
    assert len(plan.jobs()) > 100
    found = plan.columns()
    assert found["a"].tolist() == [a for a, _, _ in rows]
    assert found["b"].tolist() == [b for _, b, _ in rows]
    assert found["c"].tolist() == [NULL if c is None else c for _, _, c in rows]


def test_only_events_without_text_are_plain(tmp_path: Path) -> None:
    sql = "CREATE TABLE t (a INTEGER, name TEXT, b INTEGER)"
    rows = [(1, "domain " * 40, 75), (2, None, 59), (3, None, 60), (4, "mark", 34), (5, None, 59)]
    path = make(tmp_path / "t.sqlite", sql, rows)
    plan = plan_of(path, EVENTS)
    assert plan is not None
    assert {name: list(values) for name, values in plan.columns().items()} == {
        "a": [2, 3, 5], "b": [59, 60, 59], "name": ["", "", ""],
    }  # fmt: skip
    assert same(path, EVENTS)
    other = make(tmp_path / "other.sqlite", sql, [*rows, (6, "own text", 59)])
    assert plan_of(other, EVENTS) is None
    assert same(other, EVENTS) == {
        "a": [2, 3, 5, 6], "b": [59, 60, 59, 59], "name": ["", "", "", "own text"],
    }  # fmt: skip


@pytest.mark.parametrize(
    "statements",
    [
        ["CREATE TABLE t (a INTEGER PRIMARY KEY, b INT)", "INSERT INTO t VALUES (5, 6), (9, 1)"],
        ["CREATE TABLE t (a INT, b INT, PRIMARY KEY (b)) WITHOUT ROWID",
         "INSERT INTO t VALUES (5, 6)"],
        ["CREATE TABLE t (a INT, b REAL)", "INSERT INTO t VALUES (5, 6)"],
        ["CREATE TABLE t (a INT, b)", "INSERT INTO t VALUES (5, '6')"],
        ["CREATE TABLE t (a INT)", "INSERT INTO t VALUES (9)",
         "ALTER TABLE t ADD COLUMN b INT DEFAULT 8", "INSERT INTO t VALUES (1, 2)"],
        ["CREATE TABLE t (a INT, s INT AS (a + 1) STORED, v INT AS (a + 2), b INT, d INT, e INT)",
         "INSERT INTO t (a, b, d, e) VALUES (5, 6, 7, 8)"],
        ["CREATE TABLE t (a INT, b INT)", "INSERT INTO t VALUES (5, 'six')"],
        ["CREATE TABLE t (a INT, b INT)", "INSERT INTO t VALUES (5, 6.5)"],
        ["CREATE TABLE t (a INT, b INT)",
         "INSERT INTO t (rowid, a, b) VALUES (-9223372036854775808, 1, 2)",
         "INSERT INTO t (rowid, a, b) VALUES (9223372036854775807, 3, 4)"],
        ["CREATE TABLE t (x TEXT, a INT, b INT)",
         "INSERT INTO t VALUES (printf('%.9000c', 'x'), 5, 6)"],
        ["CREATE TABLE t (a INT, b INT)"],
    ],
    ids=["rowid", "without-rowid", "real", "typeless", "added", "generated", "text", "float",
         "sparse", "overflow", "empty"],
)  # fmt: skip
def test_what_is_not_plain_is_left_to_sqlite(statements: list[str], tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        for statement in statements:
            database.execute(statement)
    assert plan_of(path, WANTED) is None
    same(path, WANTED)


def test_a_file_cut_short_meanwhile_is_left_to_sqlite(tmp_path: Path) -> None:
    rows = [(n, n, n, "wide enough") for n in range(9000)]
    path = make(tmp_path / "t.sqlite", "CREATE TABLE t (a INT, b INT, c INT, d TEXT)", rows)
    database = open_database(path)
    with closing(sqlite3.connect(path)) as connection:
        plan = PagePlan(path, connection, WANTED, "t", database.layout["t"])
    path.write_bytes(path.read_bytes()[:8192])
    for job in plan.jobs():
        job()
    assert plan.refused


@pytest.mark.parametrize("source", sorted((Path(__file__).parents[2] / "traces").glob("*.sqlite")))
def test_recorded_tables_are_plain(source: Path) -> None:
    from harness.analysis.model import schema

    database = open_database(source)
    for table in (schema.KERNEL, schema.RUNTIME, schema.NVTX, schema.SYNCHRONIZATION):
        if database.has(table):
            with closing(sqlite3.connect(source)) as connection:
                plan = PagePlan(source, connection, table, table.name, database.layout[table.name])
            for job in plan.jobs():
                job()
            assert not plan.refused, table.name
        same(source, table)
