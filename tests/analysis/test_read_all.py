"""Reading whole tables: rows in order, whatever their rowids, and no memory for missing ones."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.model.schema import NULL, STRINGS, Column, Table
from harness.analysis.readers.sqlite import database as sqlite
from harness.analysis.readers.sqlite.database import open_database

PLAIN = Table("plain", (Column("a"), Column("b"), Column("t", text=True)), where="a <> 13")


def make(path: Path, rowids: Iterable[int]) -> list[tuple[int, int | None, str]]:
    rows = [(n, None if n % 7 == 3 else -n, f"text {n}") for n in range(len(list(rowids)))]
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE plain (a INTEGER, b INTEGER, t TEXT)")
        inserted = ((rowid, *row) for rowid, row in zip(rowids, rows, strict=True))
        database.executemany("INSERT INTO plain (rowid, a, b, t) VALUES (?, ?, ?, ?)", inserted)
        database.commit()
    return rows


@pytest.mark.parametrize(
    "rowids",
    [
        range(1, 101),
        range(500, 600),
        range(-50, 50),
        [1, 2, 3, 30, 31, 32, 33, 64, 65],
        [1, 2, 3, 2**40],
        [-(2**63), 0, 2**63 - 1],
        [],
    ],
    ids=["dense", "late", "negative", "holes", "sparse", "extremes", "none"],
)
def test_rows_come_whole_and_in_order(
    rowids: Iterable[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_STRETCH", 16)
    path = tmp_path / "t.sqlite"
    rows = make(path, rowids)
    found, strings = open_database(path).read_all((PLAIN, STRINGS))
    expected = [row for row in rows if row[0] != 13]
    assert found["a"].tolist() == [a for a, _, _ in expected]
    assert found["b"].tolist() == [NULL if b is None else b for _, b, _ in expected]
    assert found["t"] == [t for _, _, t in expected]
    assert found["a"].dtype == "int64"
    assert len(strings["id"]) == 0
