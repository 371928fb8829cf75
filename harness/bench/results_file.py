"""A results file on disk: whether it is one, and how one writer and any number of readers open it.

Reading changes nothing. What a killed writer left is rolled back in a copy, and a file that is none
of ours is asked nothing that could run for long.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection, Iterator
from pathlib import Path

from ..analysis.readers.sqlite.foreign import PLAIN, connected, file_uri, pending, read_only
from ..errors import CannotWrite, NoSuchFile
from .errors import (
    NotResults,
    ResultsDamaged,
    ResultsInUse,
    ResultsJournal,
    ResultsNotOpened,
    ResultsVersion,
)

RESULTS_VERSION = 1
META = "harness_results"
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""The end of a journal that names a file, which SQLite deletes when it rolls the journal back
(https://www.sqlite.org/fileformat2.html#the_rollback_journal). None of ours names any."""


@contextlib.contextmanager
def to_read(path: Path, tables: Collection[str]) -> Iterator[sqlite3.Connection]:
    """A results file with these `tables`, also while another process writes it.

    Raises HarnessError where it is something else.
    """
    _check_kind(path)
    with contextlib.ExitStack() as stack:
        place = path
        if pending(path) and not _being_written(path):
            place = stack.enter_context(_copy_with_journal(path))
        # To be rolled back, a copy has to be writable.
        mode = "ro" if place is path else "rw"
        with _translated(path), connected(file_uri(place, f"mode={mode}")) as connection:
            if path.stat().st_size:
                _check(path, connection, tables)
            yield connection


@contextlib.contextmanager
def to_write(path: Path, tables: Collection[str]) -> Iterator[sqlite3.Connection]:
    """The same to add to, created where it is not there; one writer at a time."""
    if path.exists():
        with to_read(path, tables):
            pass
    with _only_writer(path):
        for file in pending(path):
            _check_journal(file, file)
        with (
            _translated(path),
            contextlib.closing(sqlite3.connect(file_uri(path, "mode=rwc"), uri=True)) as connection,
        ):
            yield connection


def _check_kind(path: Path) -> None:
    """HarnessError where `path` cannot be a results file, by its kind."""
    if not path.exists():
        raise NoSuchFile(f"{path} does not exist", remedy="`harness bench -o FILE` writes one")
    if path.is_dir():
        raise NotResults(f"{path} is a folder, a results file was expected")
    if not path.is_file():
        raise NotResults(f"{path} is not a regular file, a results file was expected")
    with path.open("rb") as file:
        head = file.read(20)
    if head and not head.startswith(b"SQLite format 3\0"):
        raise NotResults(f"{path} is not an SQLite file")
    # SQLite would lay the index of a log beside it, and delete a log that it has no use for.
    log = Path(f"{os.path.realpath(path)}-wal")
    if head[18:20] not in (b"", b"\1\1") or log.exists():
        raise ResultsJournal(f"{path} keeps a log, {log.name}, which no harness bench does")


def _check(path: Path, connection: sqlite3.Connection, tables: Collection[str]) -> None:
    """HarnessError where an SQLite file is no results file of this version."""
    there = {
        str(name).lower(): bool(plain)
        for name, plain in connection.execute(
            f"select name, {PLAIN} from sqlite_master where type in ('table', 'view')"
        )
    }
    if META not in there:
        raise NotResults(
            f"{path} is not a results file of harness bench", remedy="choose another -o FILE"
        )
    for table in (META, *tables):
        if not there.get(table, True) or _computes(connection, table):
            raise ResultsDamaged(f"{path}: {table} is not a plain table")
    row = connection.execute(f"select results_version from [{META}]").fetchone()
    if row is None:
        raise NotResults(f"{path} is not a results file of harness bench: it names no version")
    if row[0] != RESULTS_VERSION:
        raise ResultsVersion(
            f"{path} has results version {row[0]}, this harness reads {RESULTS_VERSION}"
        )


def _computes(connection: sqlite3.Connection, table: str) -> bool:
    """Whether a column of the table is computed when it is read."""
    columns = connection.execute(f"pragma table_xinfo([{table}])").fetchall()
    return any(hidden for *_, hidden in columns)


@contextlib.contextmanager
def _translated(path: Path) -> Iterator[None]:
    """SQLite's errors in our form."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise ResultsNotOpened(f"{path}: {error}") from None


def _being_written(path: Path) -> bool:
    """Whether a `harness bench` holds the right to write it: its journal is no leftover then."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ResultsNotOpened(f"{path} cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False


@contextlib.contextmanager
def _copy_with_journal(path: Path) -> Iterator[Path]:
    """A copy of the file and of the journal beside it, which SQLite may roll back."""
    with tempfile.TemporaryDirectory(prefix="harness-results-") as folder:
        copy = Path(folder) / "results.db"
        left = copy.with_name(f"{copy.name}-journal")
        try:
            shutil.copyfile(path, copy)
            for file in pending(path):
                shutil.copyfile(file, left)
                _check_journal(file, left)
        except OSError as error:
            raise ResultsNotOpened(f"{path} cannot be copied: {error.strerror}") from None
        yield copy


def _check_journal(named: Path, file: Path) -> None:
    """HarnessError where `file`, told by the name `named`, is no journal that a bench leaves."""
    with file.open("rb") as journal:
        journal.seek(max(journal.seek(0, os.SEEK_END) - len(_SUPER_JOURNAL), 0))
        if journal.read() == _SUPER_JOURNAL:
            raise ResultsJournal(f"{named} names another file, which SQLite would delete")


@contextlib.contextmanager
def _only_writer(path: Path) -> Iterator[None]:
    """Hold the right to write `path`; the kernel gives it back when this process dies.

    SQLite's own locks are of another kind, so readers are not held up.
    """
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise CannotWrite(
            f"{path} cannot be written: {error.strerror}", remedy="choose another -o FILE"
        ) from None
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultsInUse(f"another harness bench is writing {path}") from None
        yield
    finally:
        os.close(fd)


def is_results(path: Path) -> bool:
    """Whether an SQLite file has the mark of a results file, whatever else is wrong with it."""
    query = "select 1 from sqlite_master where type = 'table' and name = ?"
    try:
        with connected(read_only(path)) as connection:
            return connection.execute(query, (META,)).fetchone() is not None
    except sqlite3.Error:
        return False
