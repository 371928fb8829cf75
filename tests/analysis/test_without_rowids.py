"""Exports whose tables are WITHOUT ROWID, as other tools rewrite them: read like any other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.question import Question
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store
from harness.scrub.scrub import scrub

from .build import decode_loop


def rewritten(path: Path, only: str = "") -> None:
    """Its tables, or the one of this name, without rowids, and their rows in the same order."""
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        names = file.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if name.startswith("sqlite_") or (only and name != only):
                continue
            info = file.execute(f"PRAGMA table_info({name})").fetchall()
            columns = ", ".join(f'"{row[1]}" {row[2]}' for row in info)
            file.execute(f"ALTER TABLE {name} RENAME TO hidden")
            file.execute(f"CREATE TABLE {name} ({columns}, k INT PRIMARY KEY) WITHOUT ROWID")
            file.execute(f"INSERT INTO {name} SELECT *, rowid FROM hidden")
            file.execute("DROP TABLE hidden")


@pytest.mark.parametrize(
    "only", ["", "StringIds", "NVTX_EVENTS", "CUPTI_ACTIVITY_KIND_KERNEL", "META_DATA_EXPORT"]
)
def test_every_figure_is_the_same(tmp_path: Path, only: str) -> None:
    path = tmp_path / "trace.sqlite"
    decode_loop().write(path)
    before = analyze(path)
    rewritten(path, only)
    (folder := tmp_path / "store").mkdir()
    build_store(path, folder, 64 << 20, lambda *_: None)
    scrub(path, tmp_path / "clean.sqlite")
    for source in (path, Store(folder, path), tmp_path / "clean.sqlite"):
        after = analyze(source, Question())
        assert after.devices == before.devices
        assert [one.steady for one in after.series] == [one.steady for one in before.series]
        assert after.verdicts == before.verdicts
