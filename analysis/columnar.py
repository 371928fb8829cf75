"""nsys exports made of Parquet or Arrow tables, through pyarrow, as typed columns.

`nsys export --type parquetdir` and `arrowdir` write a folder with one file a table; `--type arrow`
writes one file, the tables as Arrow streams one behind the other. Every column keeps the meaning
that it has in the SQLite export: names are ids into StringIds, enums are integers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import TraceError
from .schema import NULL, Columns, Table
from .sqlite import Database
from .trace import Trace

if TYPE_CHECKING:
    import pyarrow  # type: ignore[import-untyped]

SUFFIXES = (".parquet", ".arrow", ".arrows", ".feather")
_ENDINGS = ("_pqtdir", "_arwdir", ".parquetdir", ".arrowdir")
"""What nsys, and people, let the names of such folders end with; no part of a trace's name."""

_PARQUET, _ARROW_FILE, _ARROW_STREAM = b"PAR1", b"ARROW1", b"\xff\xff\xff\xff"
_REEXPORT = "export the report again with `nsys export --type parquetdir` (or arrowdir, or sqlite)"


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


def read_columnar(path: Path) -> Trace:
    """Read such an export. Raises TraceError, one line, where a file is missing or damaged."""
    from .reader import read_database

    return replace(read_database(open_columnar(path)), path=path)


def open_columnar(path: Path) -> ColumnarTables:
    """The tables of a folder, or of one file of Arrow streams; their rows are not read yet."""
    try:
        import pyarrow  # noqa: F401
    except ImportError as error:
        raise TraceError(
            f"{path} holds Parquet or Arrow tables, and pyarrow is not installed",
            remedy="pip install 'nsys-harness[parquet]', or export to SQLite",
        ) from error
    if path.is_dir():
        return ColumnarTables(path, {file.stem: _opened(file) for file in _tables_in(path)})
    return ColumnarTables(path, _streams(path))


class ColumnarTables(Database):
    """The tables under the names that the SQLite export gives them."""

    def __init__(self, path: Path, tables: dict[str, _Source]) -> None:
        # Where the reader looks for the manifest, and what the trace is called.
        stem = path.name
        for ending in _ENDINGS:
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
                raise TraceError(
                    f"{self.shown}: table {actual} has no column {column.name} "
                    f"(it has {others} others)",
                    remedy=_REEXPORT,
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
            elif column.text:
                result[column.name] = _texts(rows[name])
            else:
                where = f"{self.shown}: column {actual}.{name}"
                result[column.name] = _integers(rows[name], where)
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
        try:
            return _sound(self._load(names))
        except Exception as error:
            raise _damaged(self._file, error) from error


def _tables_in(folder: Path) -> list[Path]:
    return sorted(
        p for p in folder.iterdir() if p.suffix in SUFFIXES and not p.name.startswith(".")
    )


def _opened(file: Path) -> _Source:
    """One table file; its first bytes say which format it has."""
    import pyarrow as pa
    import pyarrow.parquet as pq  # type: ignore[import-untyped]

    try:
        with file.open("rb") as opened:
            start = opened.read(6)
    except OSError as error:
        raise TraceError(f"{file}: {error.strerror}") from error
    try:
        if start.startswith(_PARQUET):
            schema = pq.read_schema(file)
            return _Source(
                file, tuple(schema.names), lambda names: pq.read_table(file, columns=names)
            )
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
    what = "is empty" if not start else "is no Parquet or Arrow file"
    raise TraceError(f"{file} {what}", remedy=_REEXPORT)


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
            if name:
                found[name] = _Source(file, tuple(table.column_names), table.select)
    except Exception as error:
        raise _damaged(file, error) from error
    if not found:
        raise TraceError(
            f"{file} holds one Arrow stream without the name of its table",
            remedy="name the folder that it stands in, or export to SQLite",
        )
    return found


def _damaged(file: Path, error: Exception) -> TraceError:
    said = " ".join(str(error).split())[:160]
    return TraceError(f"{file} cannot be read ({said})", remedy=_REEXPORT)


def _sound(table: pyarrow.Table) -> pyarrow.Table:
    """The table, once its offsets and indices are known to stay inside of it; texts as bytes.

    Arrow trusts what a file says of itself. Raises pyarrow's errors.
    """
    import pyarrow as pa

    as_bytes = {pa.string(): pa.binary(), pa.large_string(): pa.large_binary()}
    for at, column in enumerate(table.columns):
        kind = as_bytes.get(column.type)
        if kind is not None:  # what a file calls text need be none
            chunks = [chunk.view(kind) for chunk in column.chunks]
            table = table.set_column(at, table.column_names[at], pa.chunked_array(chunks, kind))
    table.validate(full=True)
    return table


def _plain(values: Any) -> Any:
    """One array without dictionary encoding."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    return values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values


def _texts(values: Any) -> list[str]:
    """Texts; nulls are empty, bytes that are no UTF-8 are replaced, numbers are written out."""
    import pyarrow as pa

    plain = _plain(values)
    binary = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)
    if any(test(plain.type) for test in binary):
        return [(raw or b"").decode("utf-8", "replace") for raw in plain.to_pylist()]
    return ["" if text is None else str(text) for text in plain.to_pylist()]


def _integers(values: Any, where: str) -> NDArray[np.int64]:
    """Integers of any width as int64, `schema.NULL` for null. Unsigned ones keep their 64 bits, as
    SQLite does."""
    import pyarrow as pa

    plain = _plain(values)
    kind = plain.type
    if pa.types.is_null(kind):
        return np.full(len(plain), NULL, np.int64)
    if pa.types.is_timestamp(kind) or pa.types.is_duration(kind):
        whole = pa.timestamp("ns", kind.tz) if pa.types.is_timestamp(kind) else pa.duration("ns")
        try:
            plain = plain.cast(whole).cast(pa.int64())
        except pa.ArrowInvalid as error:
            raise TraceError(
                f"{where} holds {kind} values beyond int64 ns", remedy=_REEXPORT
            ) from error
    elif pa.types.is_boolean(kind):
        plain = plain.cast(pa.int8())
    elif not pa.types.is_integer(kind):
        raise TraceError(f"{where} holds {kind} values, not integers", remedy=_REEXPORT)
    missing = plain.is_null().to_numpy(zero_copy_only=False) if plain.null_count else None
    if missing is not None:
        plain = plain.fill_null(0)
    numbers = plain.to_numpy(zero_copy_only=False)
    if numbers.dtype == np.uint64:
        numbers = numbers.view(np.int64)
    # Arrow's own memory is read-only, and lives only as long as its file is mapped.
    result: NDArray[np.int64] = np.array(numbers, np.int64)
    if missing is not None:
        result[missing] = NULL
    return result


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
