"""Mutators of an export's tables, columns, types and rows, which SQLite holds while they work."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from random import Random

from tests.analysis.test_metamorphic import (
    TIMED,
    add_unrelated_tables,
    renumber_correlations,
    renumber_processes,
    renumber_strings,
    reorder_tables,
    shuffle_rows,
    tables_of,
)

from .mutator import EDGES, TEXTS, Mutator, named, some

Connection = sqlite3.Connection

READ = (*TIMED, "StringIds", "ThreadNames", "TARGET_INFO_GPU", "TARGET_INFO_CUDA_DEVICE",
        "META_DATA_EXPORT", "TARGET_INFO_SESSION_START_TIME", "ANALYSIS_DETAILS")  # fmt: skip
"""Every table of the bases that the reader looks into."""

_IDS = ("globalTid", "globalPid", "deviceId", "streamId", "correlationId", "nameId", "textId")


def columns_of(connection: Connection, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]


def loosened(connection: Connection, table: str) -> list[str]:
    """Rebuild a table without types, keys and NOT NULL; its columns."""
    if table not in tables_of(connection, READ):
        return []
    connection.execute(f'CREATE TABLE moving AS SELECT * FROM "{table}"')
    connection.execute(f'DROP TABLE "{table}"')
    columns = columns_of(connection, "moving")
    listed = ", ".join(f'"{name}"' for name in columns)
    connection.execute(f'CREATE TABLE "{table}" ({listed})')
    connection.execute(f'INSERT INTO "{table}" SELECT * FROM moving')
    connection.execute("DROP TABLE moving")
    return columns


def a_table(connection: Connection, random: Random) -> str:
    """A table that the reader reads; one with rows in time two of three times."""
    there = tables_of(connection, TIMED if random.random() < 2 / 3 else READ)
    return random.choice(there or list(READ))


def _rows(connection: Connection, table: str, random: Random) -> list[int]:
    ids = [row[0] for row in connection.execute(f'SELECT rowid FROM "{table}"')]
    return [ids[k] for k in some(random, len(ids))]


def _set(
    connection: Connection,
    random: Random,
    value: Callable[[Random, object], object],
    wanted: Callable[[str], bool] = lambda _: True,
) -> None:
    """Overwrite some rows of one column of one table."""
    table = a_table(connection, random)
    columns = [name for name in loosened(connection, table) if wanted(name)]
    if not columns:
        return
    column = random.choice(columns)
    for row in _rows(connection, table, random):
        old = connection.execute(f'SELECT "{column}" FROM "{table}" WHERE rowid = {row}').fetchone()
        if old is None:  # another column is called rowid, or the row was given another number
            continue
        connection.execute(
            f'UPDATE "{table}" SET "{column}" = ? WHERE rowid = {row}', (value(random, old[0]),)
        )


def drop_table(connection: Connection, random: Random) -> None:
    connection.execute(f'DROP TABLE IF EXISTS "{a_table(connection, random)}"')


def empty_table(connection: Connection, random: Random) -> None:
    for table in tables_of(connection, (a_table(connection, random),)):
        connection.execute(f'DELETE FROM "{table}"')


def drop_column(connection: Connection, random: Random) -> None:
    table = a_table(connection, random)
    columns = loosened(connection, table)
    if len(columns) > 1:
        connection.execute(f'ALTER TABLE "{table}" DROP COLUMN "{random.choice(columns)}"')


def rename_column(connection: Connection, random: Random) -> None:
    table = a_table(connection, random)
    columns = loosened(connection, table)
    if columns:
        old = random.choice(columns)
        new = random.choice((old.swapcase(), old + "_", "rowid", "oid", "_rowid_", 'a"b', "spare"))
        connection.execute(
            f'ALTER TABLE "{table}" RENAME COLUMN "{old}" TO "{new.replace(chr(34), chr(34) * 2)}"'
        )


def rename_table(connection: Connection, random: Random) -> None:
    table = a_table(connection, random)
    if table in tables_of(connection, READ):
        connection.execute(f'ALTER TABLE "{table}" RENAME TO moving')
        new = random.choice((table.lower(), table + "_V2", 'x"y', "a b"))
        connection.execute(f'ALTER TABLE moving RENAME TO "{new.replace(chr(34), chr(34) * 2)}"')


def retype(connection: Connection, random: Random) -> None:
    kinds: tuple[Callable[[object], object], ...] = (
        str, lambda old: float(old) if isinstance(old, int) else 0.5,
        lambda old: str(old).encode(), lambda old: f"{old}x", lambda old: float("inf"),
        lambda old: b"\xff\xfe\x00",
    )  # fmt: skip
    kind = random.choice(kinds)
    _set(connection, random, lambda _, old: kind(old))


def nulls(connection: Connection, random: Random) -> None:
    _set(connection, random, lambda r, old: None)


def edge_numbers(connection: Connection, random: Random) -> None:
    _set(connection, random, lambda r, old: r.choice(EDGES))


def edge_times(connection: Connection, random: Random) -> None:
    _set(connection, random, lambda r, old: r.choice(EDGES), lambda name: name in ("start", "end"))


def near_times(connection: Connection, random: Random) -> None:
    def moved(random: Random, old: object) -> object:
        return old + random.randrange(-200_000, 200_000) if isinstance(old, int) else old

    _set(connection, random, moved, lambda name: name in ("start", "end"))


def scramble_ids(connection: Connection, random: Random) -> None:
    pool = [
        random.choice((*EDGES, random.randrange(1, 50), random.randrange(2**48))) for _ in "abc"
    ]
    _set(connection, random, lambda r, old: r.choice(pool), lambda name: name in _IDS)


def swap_start_and_end(connection: Connection, random: Random) -> None:
    for table in tables_of(connection, (a_table(connection, random),)):
        columns = loosened(connection, table)
        if "start" in columns and "end" in columns:
            for row in _rows(connection, table, random):
                connection.execute(
                    f'UPDATE "{table}" SET start = end, end = start WHERE rowid = {row}'
                )


def hostile_texts(connection: Connection, random: Random) -> None:
    _set(connection, random, lambda r, old: r.choice(TEXTS), lambda name: name in _TEXT_COLUMNS)


_TEXT_COLUMNS = ("value", "text", "name", "uuid")


def invalid_utf8(connection: Connection, random: Random) -> None:
    table = random.choice(tables_of(connection, READ) or ["StringIds"])
    columns = [name for name in loosened(connection, table) if name in _TEXT_COLUMNS]
    for column in columns:
        for row in _rows(connection, table, random):
            raw = random.choice(
                ("ff", "c080", "eda080", "53746570203300ff", "00", "fffe", "80" * 99)
            )
            connection.execute(
                f'UPDATE "{table}" SET "{column}" = CAST(x\'{raw}\' AS TEXT) WHERE rowid = {row}'
            )


def duplicate_rows(connection: Connection, random: Random) -> None:
    table = a_table(connection, random)
    if loosened(connection, table):
        for row in _rows(connection, table, random):
            connection.execute(f'INSERT INTO "{table}" SELECT * FROM "{table}" WHERE rowid = {row}')


def drop_rows(connection: Connection, random: Random) -> None:
    for table in tables_of(connection, (a_table(connection, random),)):
        for row in _rows(connection, table, random):
            connection.execute(f'DELETE FROM "{table}" WHERE rowid = {row}')


def swap_tables(connection: Connection, random: Random) -> None:
    """The rows of either of two tables under the name of the other."""
    one, other = a_table(connection, random), a_table(connection, random)
    if one != other and len(tables_of(connection, (one, other))) == 2:
        for old, new in ((one, "moving"), (other, one), ("moving", other)):
            connection.execute(f'ALTER TABLE "{old}" RENAME TO "{new}"')


def one_of_its_own(connection: Connection, random: Random) -> None:
    """Each row has a thread, a process, a device, a stream or a name that no other has."""
    column = random.choice(_IDS)
    shift = random.choice((0, 24, 48)) if column.startswith("global") else 0
    for table in tables_of(connection, READ):
        if column in columns_of(connection, table) and table != "StringIds":
            loosened(connection, table)
            connection.execute(f'UPDATE "{table}" SET "{column}" = (rowid + 5) << {shift}')


def all_alike(connection: Connection, random: Random) -> None:
    column, value = random.choice((*_IDS, "start", "end")), random.choice(EDGES)
    for table in tables_of(connection, TIMED):
        if column in columns_of(connection, table):
            loosened(connection, table)
            connection.execute(f'UPDATE "{table}" SET "{column}" = {value}')


def nest_ranges(connection: Connection, random: Random) -> None:
    """Ranges one in another, all the way down, or crossing, or open for ever."""
    if loosened(connection, "NVTX_EVENTS"):
        way = random.choice((
            "start = rowid, end = 1000000000 - rowid",
            "start = rowid * 3, end = rowid * 3 + 1000000", "end = NULL",
            "eventType = 60, endGlobalTid = globalTid + 1", "eventType = 70",
        ))  # fmt: skip
        connection.execute(f"UPDATE NVTX_EVENTS SET {way}")


def metadata_rows(connection: Connection, random: Random) -> None:
    if loosened(connection, "META_DATA_EXPORT"):
        key = random.choice(("HARNESS_ORIGIN", "HARNESS_PRODUCER", "HARNESS_STRATEGY",
                             "EXPORT_PRODUCT_NAME", "EXPORT_SCHEMA_VERSION"))  # fmt: skip
        value = random.choice((*TEXTS, None, 7, b"\xff\x00", 1.5))
        connection.execute("INSERT INTO META_DATA_EXPORT (name, value) VALUES (?, ?)", (key, value))


def odd_objects(connection: Connection, random: Random) -> None:
    """A view, a WITHOUT ROWID table, a generated column or a virtual table in a table's place."""
    table = a_table(connection, random)
    if not loosened(connection, table):
        return
    columns = columns_of(connection, table)
    listed = ", ".join(f'"{name}"' for name in columns)
    connection.execute(f'ALTER TABLE "{table}" RENAME TO hidden')
    way = random.randrange(5)
    if way == 0:
        connection.execute(f'CREATE VIEW "{table}" AS SELECT * FROM hidden')
    elif way == 1:
        kept = ", ".join(f'"{name}" NOT NULL' for name in columns)
        connection.execute(f'CREATE TABLE "{table}" ({kept}, k INTEGER PRIMARY KEY) WITHOUT ROWID')
    elif way == 2:
        first, *rest = columns
        others = ", ".join(f'"{name}"' for name in rest) or "spare"
        connection.execute(f'CREATE TABLE "{table}" ({others}, "{first}" AS (randomblob(9)))')
        connection.execute(f'INSERT INTO "{table}" ({others}) SELECT {others} FROM hidden')
    elif way == 3:
        connection.execute(f'CREATE TABLE "{table}" ({listed}, rowid)')
        marks = random.choice(("'a'", "NULL", "hidden.rowid", "-1e300", "x'00'"))
        connection.execute(f'INSERT INTO "{table}" SELECT *, {marks} FROM hidden')
    else:
        connection.execute(f'CREATE VIRTUAL TABLE "{table}" USING rtree(id, a, b)')


def rowids_with_holes(connection: Connection, random: Random) -> None:
    """The same rows in the same order under other rowids."""
    for table in tables_of(connection, TIMED):
        loosened(connection, table)
        step, first = random.choice(((1, -50), (3, 7), (2**40, -(2**50)), (1, 2**62), (1 << 18, 0)))
        connection.execute(f'CREATE TABLE moving AS SELECT * FROM "{table}"')
        connection.execute(f'DELETE FROM "{table}"')
        names = ", ".join(f'"{name}"' for name in columns_of(connection, table))
        connection.execute(
            f'INSERT INTO "{table}" (rowid, {names}) '
            f"SELECT moving.rowid * {step} + {first}, * FROM moving"
        )
        connection.execute("DROP TABLE moving")


def untyped_columns(connection: Connection, random: Random) -> None:
    for table in tables_of(connection, READ):
        loosened(connection, table)


def indexes_and_triggers(connection: Connection, random: Random) -> None:
    for k, table in enumerate(tables_of(connection, TIMED)):
        connection.execute(f'CREATE INDEX i{k} ON "{table}" (start, end)')
        connection.execute(
            f'CREATE TRIGGER t{k} AFTER INSERT ON "{table}" BEGIN DELETE FROM "{table}"; END'
        )


def utf16(connection: Connection, random: Random) -> Connection:
    encoding = random.choice(("UTF-16le", "UTF-16be"))
    other = sqlite3.connect(":memory:")
    other.execute(f"PRAGMA encoding = '{encoding}'")
    for line in connection.iterdump():
        other.execute(line)
    return other


def page_size(connection: Connection, random: Random) -> None:
    connection.commit()
    connection.execute(f"PRAGMA page_size = {random.choice((1024, 4096, 65536))}")
    connection.execute("VACUUM")


UNSEEN: dict[str, Mutator[Connection]] = named(
    (
        shuffle_rows, reorder_tables, add_unrelated_tables, renumber_correlations,
        renumber_processes, renumber_strings, rowids_with_holes, untyped_columns,
        indexes_and_triggers, utf16, page_size,
    ),
    unseen=True,
)  # fmt: skip

MUTATORS = UNSEEN | named(
    (
        drop_table, empty_table, drop_column, rename_column, rename_table, retype, nulls,
        edge_numbers, edge_times, near_times, scramble_ids, swap_start_and_end, hostile_texts,
        invalid_utf8, duplicate_rows, drop_rows, swap_tables, one_of_its_own, all_alike,
        nest_ranges, metadata_rows, odd_objects,
    )
)  # fmt: skip

SPOILING = tuple(name for name, mutator in MUTATORS.items() if not mutator.unseen)

_OF_SQLITE = {
    "reorder_tables", "rowids_with_holes", "untyped_columns", "indexes_and_triggers", "utf16",
    "page_size", "odd_objects",
}  # fmt: skip
ANY_FORMAT = tuple(name for name in MUTATORS if name not in _OF_SQLITE)
"""Those that change rows and columns, and so make mutants of Parquet and Arrow too."""


def mutate(base: bytes, name: str, random: Random) -> bytes:
    """The export `base` after one mutator, and now and then after two or three."""
    mutator = MUTATORS[name]
    names = [name]
    if not mutator.unseen and random.random() < 0.3:
        names += [random.choice(SPOILING) for _ in range(random.choice((1, 2)))]
    connection = sqlite3.connect(":memory:")
    connection.deserialize(base)
    for one in names:
        try:
            other = MUTATORS[one].apply(connection, random)
        except sqlite3.Error:
            if mutator.unseen:
                raise  # a mutator that fails alone is a bug of the mutator
            continue  # what an earlier mutator took away
        if other is not None:
            connection.close()
            connection = other
    connection.commit()
    data: bytes = connection.serialize()
    connection.close()
    return data
