"""What an SQLite file may hold in place of a table, and what may lie beside one."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

ENDLESS = (
    "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) "
    "SELECT x AS rowid, 1 AS start, 2 AS end, 59 AS eventType, 1 AS globalTid, 1 AS n FROM c"
)
"""A view's rows without end."""

IN_PLACE_OF_A_TABLE = {
    "view": [f'CREATE VIEW "{{table}}" AS {ENDLESS}'],
    "fts4": [
        f"CREATE VIEW v AS {ENDLESS}",
        'CREATE VIRTUAL TABLE "{table}" USING fts4("n", content=\'v\')',
    ],
    "fts5": [
        f"CREATE VIEW v AS {ENDLESS}",
        'CREATE VIRTUAL TABLE "{table}" USING fts5("n", content=\'v\')',
    ],
    "another case": [f"CREATE VIEW v AS {ENDLESS}", 'CREATE VIEW "{lower}" AS SELECT * FROM v'],
}
"""Statements by name; `{table}` and `{lower}` are the table's name."""


def replace_table(path: Path, table: str, kind: str) -> None:
    """Put something else of that kind in the place of a table."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute(f'DROP TABLE IF EXISTS "{table}"')
        for statement in IN_PLACE_OF_A_TABLE[kind]:
            database.execute(statement.format(table=table, lower=table.lower()))


def kill_in_transaction(path: Path, *statements: str) -> Path:
    """Leave beside `path` the journal of a transaction that did not end; returns the journal.

    The file is left as the killed writer would leave it: with pages that are not committed.
    """
    torn = path.with_name(f"{path.name}.torn")
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("PRAGMA cache_spill = 1")
        writer.execute("PRAGMA cache_size = 1")
        writer.execute("BEGIN")
        for statement in statements:
            writer.execute(statement)
        writer.execute("CREATE TABLE filler (text TEXT)")
        for _ in range(500):
            writer.execute("INSERT INTO filler VALUES (?)", ("x" * 500,))
        shutil.copyfile(path, torn)
        shutil.copyfile(f"{path}-journal", f"{torn}-journal")
        writer.execute("ROLLBACK")
    os.replace(torn, path)
    os.replace(f"{torn}-journal", f"{path}-journal")
    return Path(f"{path}-journal")


def name_a_file_to_delete(journal: Path, victim: Path) -> None:
    """End a journal as one of several databases ends: with the file that SQLite deletes at last."""
    name = os.fsencode(victim)
    record = b"".join(
        (
            (0x40000000 // 4096 + 1).to_bytes(4, "big"),
            name,
            len(name).to_bytes(4, "big"),
            (sum(name) & 0xFFFFFFFF).to_bytes(4, "big"),
            bytes.fromhex("d9d505f920a163d7"),
        )
    )
    with journal.open("ab") as file:
        file.write(record)


def state_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder with its contents and the time of its last change."""
    return {
        str(p.relative_to(folder)): (p.read_bytes(), p.stat().st_mtime_ns)
        for p in sorted(folder.rglob("*"))
        if p.is_file()
    }
