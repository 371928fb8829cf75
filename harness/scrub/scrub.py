"""What `harness scrub` does: a copy of a trace that can be passed on.

The copy is built from nothing, row by row, from what `scrub_policy` lets through, so that no free
page, log or index of the original can come along. Then the raw bytes are searched for every value
that was left out.
"""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import tempfile
from pathlib import Path

from ..analysis.readers.formats import is_json
from ..analysis.readers.other_tools import refuse_foreign
from ..analysis.readers.sqlite.database import Database, open_database
from ..analysis.readers.sqlite.sql import rowid_of
from ..errors import CannotWrite
from ..files import holds_manifest, place, refuse_existing, write_text
from . import policy
from .manifest import scrubbed_manifest
from .removed import Removed, quoted, verify
from .report import Scrubbed
from .torch_trace import scrub_torch

Column = tuple[int, str, str, int, object, int]
"""A row of SQLite's table_info: number, name, type, NOT NULL, default, place in the primary key."""


def scrub(
    trace: Path,
    output: Path,
    *,
    force: bool = False,
    allow: tuple[str, ...] = (),
    json: bool | None = None,
) -> Scrubbed:
    """Write a scrubbed copy of `trace`, and of the manifest beside it; the trace is only read.

    Raises HarnessError, with nothing written, where a value that was left out still stands in the
    copy. `allow` names variables and metadata whose values may; `json`: whether the trace is one of
    torch.profiler's, which None has looked up.
    """
    refuse_foreign(trace)
    if holds_json(trace) if json is None else json:
        refuse_existing(output, force=force, inputs=(trace,))
        return scrub_torch(trace, output, force=force, allow=allow)
    shown, output = output, Path(os.path.abspath(output))
    manifest = output.with_suffix(".json")
    for written in (output, manifest):  # one of another trace would be taken for the copy's
        refuse_existing(written, force=force, inputs=(trace,))
    described = trace.with_suffix(".json")
    with tempfile.TemporaryDirectory(prefix=f".{output.name[:80]}.", dir=output.parent) as work:
        part = Path(work) / "clean.sqlite"
        removed = Removed()
        done = _Copy(part, open_database(trace), removed)
        done.run()
        text = scrubbed_manifest(described, removed) if described.is_file() else None
        searched = verify(part, text, removed, allow)
        place(part, output, force=force)
        if text is not None:
            write_text(manifest, text, force=force)
        elif manifest.is_file() and holds_manifest(manifest):
            manifest.unlink()
    return Scrubbed(
        output=shown,
        manifest=shown.with_suffix(".json") if text is not None else None,
        kept=tuple(done.kept),
        emptied=tuple(done.emptied),
        dropped=tuple(done.dropped),
        strings=done.strings,
        searched=searched,
        short=removed.short,
    )


def holds_json(trace: Path) -> bool:
    """Whether the trace is copied as JSON, and not as tables."""
    return trace.is_file() and is_json(trace)


class _Copy:
    """Builds the copy, and notes what was left out."""

    def __init__(self, output: Path, database: Database, removed: Removed) -> None:
        self.kept: list[tuple[str, int]] = []
        self.emptied: list[tuple[str, int]] = []
        self.dropped: list[tuple[str, int]] = []
        self.strings = (0, 0)
        self._output = output
        self._database = database
        self._removed = removed
        self._referred: set[tuple[str, str]] = set()

    def run(self) -> None:
        """Copy every table. Raises HarnessError where SQLite cannot."""
        try:
            with contextlib.closing(sqlite3.connect(self._output.as_uri(), uri=True)) as base:
                self._base = base
                base.isolation_level = None
                base.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
                # New pages are zeroed: what memory held before must not get into their slack.
                for pragma in ("secure_delete = ON", "journal_mode = OFF", "trusted_schema = OFF"):
                    base.execute(f"PRAGMA {pragma}")
                base.execute(f"PRAGMA encoding = '{_encoding(self._database.uri)}'")
                base.create_function("keeps_fact", 1, policy.keeps_fact, deterministic=True)
                base.create_function("diagnostic", 2, policy.diagnostic, deterministic=True)
                base.execute("ATTACH ? AS old", (self._database.uri,))
                tables = [name for name in self._database.layout if not name.startswith("sqlite_")]
                base.execute("BEGIN")
                for table in sorted(tables, key=lambda name: name == "StringIds"):
                    self._table(table)
                base.execute("COMMIT")
        except sqlite3.Error as error:
            raise CannotWrite(f"the copy cannot be written: {error}") from error

    def _table(self, table: str) -> None:
        self._database.check_tree(table)
        old = f"old.{quoted(table)}"
        rows = self._base.execute(f"SELECT count(*) FROM {old}").fetchone()[0]
        columns = self._base.execute(f"PRAGMA old.table_info({quoted(table)})").fetchall()
        if table in policy.EMPTIED:
            self._create(table, columns)
            self.emptied.append((table, rows))
            self._note_secrets(table, columns)
        elif policy.KEPT.fullmatch(table):
            self._create(table, columns)
            self._keep_rows(table, columns)
            self.kept.append((table, rows))
        elif any(self._holds_text(table, column) for _, column, *_ in columns):
            self.dropped.append((table, rows))
            self._note_secrets(table, columns)
        else:
            self._create(table, columns)
            self._keep_rows(table, columns)
            self.kept.append((table, rows))

    def _create(self, table: str, columns: list[Column]) -> None:
        """The same table without what its definition may carry: defaults, checks, comments."""
        keys = [name for _, name, _, _, _, key in sorted(columns, key=lambda c: c[5]) if key]
        parts = []
        for _, name, kind, required, _, key in columns:
            declared = re.sub(r"[^A-Za-z0-9_() ,]", "", kind or "")
            single = " PRIMARY KEY" if key and len(keys) == 1 else ""
            parts.append(f"{quoted(name)} {declared}{' NOT NULL' if required else ''}{single}")
        if len(keys) > 1:
            parts.append(f"PRIMARY KEY ({', '.join(map(quoted, keys))})")
        self._base.execute(f"CREATE TABLE {quoted(table)} ({', '.join(parts)})")

    def _holds_text(self, table: str, column: str) -> bool:
        query = (
            f"SELECT 1 FROM old.{quoted(table)} "
            f"WHERE typeof({quoted(column)}) IN ('text', 'blob') LIMIT 1"
        )
        return self._base.execute(query).fetchone() is not None

    def _keep_rows(self, table: str, columns: list[Column]) -> None:
        texts = policy.texts_of(table)
        names = [name for _, name, *_ in columns]
        terms = []
        for _, name, _, required, _, _ in columns:
            term = quoted(name)
            if table == "DIAGNOSTIC_EVENT" and name == "text" and "severity" in names:
                terms.append('diagnostic("severity", "text")')
                self._note_names(table, name)
            elif name in texts:
                terms.append(term)
            else:
                blank = "''" if required else "NULL"
                number = f"typeof({term}) IN ('integer', 'real', 'null')"
                terms.append(f"CASE WHEN {number} THEN {term} ELSE {blank} END")
                self._note_names(table, name)
            if name in policy.REFERENCES and table != "StringIds":
                self._referred.add((table, name))
        where = ""
        if table in ("META_DATA_EXPORT", "EXPORT_META_DATA") and {"name", "value"} <= {*names}:
            where = 'WHERE keeps_fact("name")'
            rows = self._base.execute(
                f"SELECT name, value FROM old.{quoted(table)} WHERE NOT keeps_fact(name)"
            )
            for name, value in rows:
                self._removed.secret(str(name), str(value))
        elif table == "StringIds":
            where = self._needed_strings()
        self._base.execute(
            f"INSERT INTO main.{quoted(table)} SELECT {', '.join(terms)} "
            f"FROM old.{quoted(table)} {where} {self._in_order(table)}"
        )

    def _in_order(self, table: str) -> str:
        """The rows' own order, where they have one beside their key."""
        layout = self._database.layout[table]
        rowid = rowid_of(self._base, f"old.{quoted(table)}", layout)
        return "" if rowid is None else f"ORDER BY {rowid}"

    def _needed_strings(self) -> str:
        """The condition for strings that something kept refers to; notes the others."""
        self._base.execute("CREATE TEMP TABLE needed (id INTEGER PRIMARY KEY)")
        for table, column in sorted(self._referred):
            self._base.execute(
                f"INSERT OR IGNORE INTO temp.needed SELECT {quoted(column)} "
                f"FROM main.{quoted(table)} WHERE typeof({quoted(column)}) = 'integer'"
            )
        where = "WHERE id IN (SELECT id FROM temp.needed)"
        all_, kept = (
            self._base.execute(f"SELECT count(*) FROM old.StringIds {condition}").fetchone()[0]
            for condition in ("", where)
        )
        self.strings = (all_ - kept, all_)
        rows = self._base.execute(
            "SELECT value FROM old.StringIds WHERE id NOT IN (SELECT id FROM temp.needed)"
        )
        for (value,) in rows:
            if isinstance(value, str) and re.search(r"(^|[\0\n])\w+=", value):
                self._removed.secret("StringIds", value)  # nsys keeps the environment here, too
            else:
                self._removed.name("StringIds", _text(value))
        return where

    def _note_secrets(self, table: str, columns: list[Column]) -> None:
        names = [name for _, name, *_ in columns]
        called = names.index("name") if {"name", "value"} <= {*names} else None
        for row in self._base.execute(f"SELECT * FROM old.{quoted(table)}"):
            label = str(row[called]) if called is not None and row[called] else table
            for at, value in enumerate(row):
                if at != called and isinstance(value, (str, bytes)):
                    self._removed.secret(label, _text(value))

    def _note_names(self, table: str, column: str) -> None:
        if self._holds_text(table, column):
            query = f"SELECT DISTINCT {quoted(column)} FROM old.{quoted(table)}"
            for (value,) in self._base.execute(query):
                if isinstance(value, (str, bytes)):
                    self._removed.name(table, _text(value))


def _encoding(uri: str) -> str:
    """Of a database: SQLite joins only those of one encoding."""
    with contextlib.closing(sqlite3.connect(uri, uri=True)) as base:
        return str(base.execute("PRAGMA encoding").fetchone()[0])


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "surrogateescape")
    return value if isinstance(value, str) else ""
