"""nsys exports made of Parquet or Arrow tables, through pyarrow, as typed columns.

`nsys export --type parquetdir` and `arrowdir` write a folder with one file a table; `--type arrow`
writes one file, the tables as Arrow streams one behind the other. Every column keeps the meaning
that it has in the SQLite export: names are ids into StringIds, enums are integers.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...model.errors import CannotRead, PackageMissing, TraceError
from ...model.schema import Columns, Table
from ..errors import (
    MissingColumn,
    NotARegularFile,
    NotATrace,
    RepeatedName,
    TraceDamaged,
    UnnamedTable,
)
from ..sqlite.database import Database
from .columns import REEXPORT, integers, texts

if TYPE_CHECKING:
    import pyarrow

SUFFIXES = (".parquet", ".arrow", ".arrows", ".feather")
FOLDER_ENDINGS = ("_pqtdir", "_arwdir", ".parquetdir", ".arrowdir")
"""What nsys, and people, let the names of such folders end with; no part of a trace's name."""

_PARQUET, _ARROW_FILE, _ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"

_MOST_ROWS, _FEW_ROWS = 8, 100_000
"""Rows that a byte of a file may hold, and rows that any file may: no two have the same times."""
_MOST_TEXT, _FEW_TEXT = 64, 16 << 20
"""The same for characters: repeated names pack well."""


def is_columnar(path: Path) -> bool:
    """Whether this is a folder with table files in it, or one file of Arrow streams."""
    try:
        if path.is_dir():
            return any(_tables_in(path))
        if not path.is_file():  # a pipe would be waited for
            return False
        with path.open("rb") as file:
            return file.read(4) == _ARROW_STREAM
    except OSError:
        return False


def open_columnar(path: Path) -> ColumnarTables:
    """The tables of a folder, or of one file of Arrow streams; their rows are not read yet."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise PackageMissing(
            f"{path} holds Parquet or Arrow tables, and pyarrow is not installed",
            remedy="pip install 'nsys-harness[parquet]', or export to SQLite",
        ) from error
    if path.is_dir():
        return ColumnarTables(named(path), _folder(path))
    return ColumnarTables(path, _streams(path))


def named(path: Path) -> Path:
    """The same folder by a path that ends in its name, which `.` and `..` do not."""
    return path.resolve() if path.name in ("", "..") else path


class ColumnarTables(Database):
    """The tables under the names that the SQLite export gives them."""

    def __init__(self, path: Path, tables: dict[str, _Source]) -> None:
        # Where the reader looks for the manifest, and what the trace is called.
        stem = path.name
        for ending in FOLDER_ENDINGS:
            stem = stem.removesuffix(ending)
        self.path = path.with_name(f"{stem}.sqlite") if path.is_dir() and stem else path
        self.layout = {name: source.columns for name, source in tables.items()}
        self.shown = path
        self._tables = tables

    def read_all(self, tables: tuple[Table, ...]) -> list[Columns]:
        """Every declared column of these tables; empty columns where one is absent."""
        return [self._read(table) for table in tables]

    def _read(self, table: Table) -> Columns:
        actual = self._actual(table)
        if actual is None:
            return {c.name: [] if c.text else np.empty(0, np.int64) for c in table.columns}
        names = {c: c.stored(self.layout[actual]) for c in table.columns}
        for column, name in names.items():
            if name is None and column.absent is None:
                others = len(self.layout[actual])
                raise MissingColumn(
                    f"{self.shown}: table {actual} has no column {column.name} "
                    f"(it has {others} others)",
                    remedy=REEXPORT,
                )
        source = self._tables[actual]
        rows = source.read([name for name in names.values() if name is not None])
        result: Columns = {}
        for column, name in names.items():
            if name is None:
                stand_in: Any = [column.absent] if column.text else column.absent
                count = rows.num_rows
                result[column.name] = (
                    stand_in * count if column.text else np.full(count, stand_in, np.int64)
                )
            else:
                convert = texts if column.text else integers
                result[column.name] = source.converted(
                    convert, rows[name], f"{self.shown}: column {actual}.{name}"
                )
                if column.text:
                    source.check_text(result[column.name])
        return _filtered(result, table)


class _Source:
    """One table in one file: the names of its columns, and how some of them are read."""

    def __init__(
        self, file: Path, columns: tuple[str, ...], load: Callable[[list[str]], pyarrow.Table]
    ) -> None:
        self.columns = columns
        self._file = file
        self._load = load

    def read(self, names: list[str]) -> pyarrow.Table:
        """These columns, all rows. Raises TraceError where the file is damaged."""
        if len(set(self.columns)) < len(self.columns):
            # Which of them a name means would be the library's choice.
            raise RepeatedName(f"{self._file} has two columns of one name", remedy=REEXPORT)
        try:
            rows = self._load(names)
        except Exception as error:
            raise _damaged(self._file, error) from error
        check_rows(self._file, rows.num_rows)
        return rows

    def converted(self, convert: Callable[[Any, str], Any], values: Any, where: str) -> Any:
        """One column as the rest of the package wants it. Raises TraceError where it is damaged."""
        try:
            return convert(values, where)
        except TraceError:
            raise
        except Exception as error:  # Arrow checks values when they are looked at, not before
            raise _damaged(self._file, error) from error

    def check_text(self, found: list[str]) -> None:
        """Raises TraceError where rows share so much text that no report could show it."""
        size = self._file.stat().st_size
        if sum(map(len, found)) > _MOST_TEXT * size + _FEW_TEXT:
            raise TraceDamaged(
                f"{self._file} is damaged: it holds more text than its {size} bytes can",
                remedy=REEXPORT,
            )


def check_rows(file: Path, rows: int) -> None:
    """Raises TraceError where so many rows cannot be a trace's: packed repeats cost nothing."""
    size = file.stat().st_size
    if rows > _MOST_ROWS * size + _FEW_ROWS:
        raise TraceDamaged(
            f"{file} is damaged: it holds {rows} rows in {size} bytes", remedy=REEXPORT
        )


def _tables_in(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.suffix in SUFFIXES and not p.name.startswith(".")
    )


def _folder(folder: Path) -> dict[str, _Source]:
    """The tables of a folder by their names. Raises TraceError where a name has two files."""
    found: dict[str, Path] = {}
    for file in _tables_in(folder):
        other = found.setdefault(file.stem, file)
        if other is not file:
            raise RepeatedName(
                f"{folder} holds table {file.stem} twice ({other.name} and {file.name})",
                remedy="leave one of the two",
            )
    return {name: _opened(file) for name, file in found.items()}


def _opened(file: Path) -> _Source:
    """One table file; its first bytes say which format it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    if file.exists() and not file.is_file():  # a pipe would be waited for
        raise NotARegularFile(f"{file} is not a regular file")
    try:
        with file.open("rb") as opened:
            start = opened.read(6)
    except OSError as error:
        raise CannotRead(f"{file}: {error.strerror}") from error
    try:
        if start.startswith(_PARQUET):
            known = pq.read_metadata(file)
            check_rows(file, known.num_rows)
            schema = known.schema.to_arrow_schema()
            return _Source(file, tuple(schema.names), partial(_parquet, file, schema))
        if start.startswith(_ARROW_FILE):
            with pa.memory_map(str(file)) as source:
                schema = pa.ipc.open_file(source).schema
            return _Source(file, tuple(schema.names), lambda names: _arrow_file(file, names))
        if start.startswith(_ARROW_STREAM):
            with pa.memory_map(str(file)) as source:
                schema = pa.ipc.open_stream(source).schema
            return _Source(file, tuple(schema.names), lambda names: _arrow_stream(file, names))
    except Exception as error:
        raise _damaged(file, error) from error
    what = "is empty" if not start else "is not a Parquet or Arrow file"
    raise NotATrace(f"{file} {what}", remedy=REEXPORT)


def _parquet(file: Path, schema: pyarrow.Schema, names: list[str]) -> pyarrow.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq

    # Texts as they are stored: written out, rows that share a long one would fill the memory.
    wanted = schema.names
    words = [n for n in names if n in wanted and _is_text(pa.types, schema.field(n).type)]
    return pq.read_table(file, columns=names, read_dictionary=words)


def _is_text(types: Any, kind: Any) -> bool:
    return bool(types.is_string(kind) or types.is_binary(kind))


def _arrow_file(file: Path, names: list[str]) -> pyarrow.Table:
    import pyarrow as pa

    return pa.ipc.open_file(pa.memory_map(str(file))).read_all().select(names)


def _arrow_stream(file: Path, names: list[str]) -> pyarrow.Table:
    import pyarrow as pa

    return pa.ipc.open_stream(pa.memory_map(str(file))).read_all().select(names)


def _streams(file: Path) -> dict[str, _Source]:
    """The tables of one file: each stream's schema carries its table's name."""
    import pyarrow as pa

    found: dict[str, _Source] = {}
    try:
        source = pa.memory_map(str(file))
        size = source.size()
        while source.tell() < size:
            table = pa.ipc.open_stream(source).read_all()  # mapped, not copied
            name = (table.schema.metadata or {}).get(b"table_name", b"").decode("utf-8", "replace")
            if not name:  # rows that nobody would see are missing
                raise UnnamedTable(f"{file} holds an Arrow stream without the name of its table")
            if name in found:
                raise RepeatedName(f"{file} holds table {name} twice", remedy=REEXPORT)
            found[name] = _Source(file, tuple(table.column_names), table.select)
    except TraceError:
        raise
    except Exception as error:
        raise _damaged(file, error) from error
    return found


def _damaged(file: Path, error: Exception) -> TraceError:
    said = " ".join(str(error).split())[:160]
    return TraceDamaged(f"{file} cannot be read ({said})", remedy=REEXPORT)


def _filtered(columns: Columns, table: Table) -> Columns:
    """The rows that the table's description asks for."""
    assert not table.where, f"{table.name}: SQL is not understood here"
    if table.among is None:
        return columns
    name, wanted = table.among
    keep = np.isin(columns[name], np.array(wanted, np.int64))
    if keep.all():
        return columns
    rows = np.flatnonzero(keep)
    return {
        name: [column[k] for k in rows.tolist()] if isinstance(column, list) else column[rows]
        for name, column in columns.items()
    }
