"""How an SQLite file that somebody else wrote is opened: nothing is written, deleted or run.

SQLite finishes what a killed writer left: it rolls a journal back into the file, may delete a file
that the journal names, and leaves an index of a log beside the file. A schema can hold more than
tables: a view, or a table of a module over a view, gives rows for ever.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..errors import UnfinishedWrite

PATIENCE_S = 20.0
"""What one question about a file may take. All that are asked are of the kind that takes none."""
_STEPS = 100_000
"""Steps of SQLite's machine between two looks at the clock, some milliseconds."""

PLAIN = "type = 'table' AND rootpage > 0 AND sql GLOB 'CREATE TABLE *'"
"""The rows of `sqlite_master` that are tables with pages of their own. SQLite keeps a definition in
this form, however it was written."""


def pending(path: Path) -> tuple[Path, ...]:
    """The files beside a database that hold a write which is not, or not yet, in it.

    SQLite looks for them beside the file that links lead to.
    """
    place = os.path.realpath(path)
    beside = (Path(f"{place}-journal"), Path(f"{place}-wal"))
    return tuple(file for file in beside if file.exists() and file.stat().st_size)


def refuse_pending(path: Path) -> None:
    """Raises UnfinishedWrite where the file alone is not what was last written."""
    for file in pending(path):
        raise UnfinishedWrite(
            f"{path} has an unfinished write beside it, {file.name} "
            f"({file.stat().st_size:,} bytes): its tables cannot be read without changing it"
        )


def read_only(path: Path) -> str:
    """URI of a file that SQLite neither locks nor writes to, nor puts anything beside."""
    return file_uri(path, "mode=ro&immutable=1")


def file_uri(path: Path, options: str) -> str:
    """URI of a file with SQLite's options (https://www.sqlite.org/uri.html)."""
    # A name can hold any byte, and a path that begins with `//` would name a host.
    return f"file://{quote(os.fsencode(path.absolute()))}?{options}"


class _Patient(sqlite3.Connection):
    """Gives a statement up that takes longer than PATIENCE_S."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self._until = float("inf")
        self.set_progress_handler(lambda: time.monotonic() > self._until, _STEPS)

    def execute(self, *given: Any) -> sqlite3.Cursor:
        self._until = time.monotonic() + PATIENCE_S
        return super().execute(*given)


@contextmanager
def connected(uri: str) -> Iterator[sqlite3.Connection]:
    """A connection for small questions; functions that a schema calls are not trusted."""
    connection = sqlite3.connect(uri, uri=True, factory=_Patient)
    try:
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA query_only = ON")
        yield connection
    finally:
        connection.close()
