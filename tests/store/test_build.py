"""A store built within a budget is the store of the trace in memory, whatever the order of rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.analysis.model.arrays import FirstMatch
from harness.analysis.model.cuda_calls import host_waits
from harness.analysis.model.errors import TraceError
from harness.analysis.model.flag_waits import FlagWaits
from harness.analysis.model.schema import NULL, THREAD_NAMES
from harness.analysis.model.trace import Trace
from harness.analysis.readers.metadata import read_metadata
from harness.analysis.readers.open import open_export, open_trace
from harness.analysis.readers.sqlite import database as sqlite
from harness.analysis.readers.sqlite import page_plan as plain
from harness.analysis.readers.sqlite import stream as streamed
from harness.analysis.readers.sqlite.database import open_database
from harness.analysis.store import build, join, runs
from harness.analysis.store.join import CallSide, Side, join_calls
from harness.analysis.store.layout import GROUPS
from harness.analysis.store.opened import Store
from harness.analysis.store.runs import Runs
from harness.analysis.store.save import save_trace
from harness.analysis.writer.writer import TraceBuilder

from .invent import invent


def silent(what: str, done: int, total: int) -> None:
    del what, done, total


def same_trace(one: Trace, other: Trace) -> None:
    for group in GROUPS:
        first, second = getattr(one, group), getattr(other, group)
        for name in first.__struct_fields__:
            a, b = getattr(first, name), getattr(second, name)
            where = f"{group}.{name}"
            if isinstance(a, tuple):
                assert a == b, where
            else:
                assert a.dtype == b.dtype, where
                assert np.array_equal(a, b), where
    for name in (
        "source", "strings", "devices", "processes", "threads", "dropped", "ranges_dropped",
        "calls_unusable",
    ):  # fmt: skip
        assert getattr(one, name) == getattr(other, name), name
    assert one.duplicate_calls == other.duplicate_calls
    assert one.ambiguous_devices == other.ambiguous_devices


def check(path: Path, folder: Path, rows: int) -> None:
    """Build with `rows` rows at once, save from memory, compare everything."""
    trace = open_trace(path)
    saved, built = folder / "saved", folder / "built"
    for place in (saved, built):
        place.mkdir()
    save_trace(trace, read_metadata(open_database(path)), saved)
    build._Builder(open_export(path), built, rows, silent).build()
    one, other = Store(saved, path), Store(built, path)
    same_trace(trace, one.trace())
    same_trace(trace, other.trace())
    assert np.array_equal(one.calls["flags"], other.calls["flags"])
    flags = host_waits(trace).flags
    for name in FlagWaits.__struct_fields__:
        assert np.array_equal(getattr(flags, name), getattr(one.flag_waits, name)), name
        assert np.array_equal(getattr(flags, name), getattr(other.flag_waits, name)), name
    for group in ("operations", "calls", "ranges"):
        assert np.array_equal(one.tables[group].latest, other.tables[group].latest)
    assert not list(built.glob("*.run"))


def smaller(stretch: int, sampled: int) -> Iterator[None]:
    """Stretches, pages and samples so small that a trace has many of each."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite, "_STRETCH", stretch)
        patch.setattr(plain, "_CHUNK_BYTES", 4096 * min(sampled, 16))
        patch.setattr(streamed, "_PIECES", 1)
        patch.setattr(runs, "_SAMPLED", sampled)
        patch.setattr(join, "_SAMPLED", sampled)
        yield


@pytest.fixture
def small() -> Iterator[None]:
    yield from smaller(3000, 40)


@pytest.fixture
def tiny() -> Iterator[None]:
    yield from smaller(5, 1)


PATCHED = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
"""`tiny` holds for all examples of a test alike."""


@settings(PATCHED, max_examples=20)
@given(seed=st.integers(0, 2**32), rows=st.integers(1, 60))
def test_invented_traces(
    tiny: None, tmp_path_factory: pytest.TempPathFactory, seed: int, rows: int
) -> None:
    folder = tmp_path_factory.mktemp("build")
    random = Random(seed)
    size, named = random.choice((4, 12, 40)), random.random() < 0.7
    path = invent(seed, folder / "trace.sqlite", size=size, known_devices=named)
    try:
        open_trace(path)
    except TraceError:
        return  # nothing was invented that could be analysed
    check(path, folder, rows)


@pytest.mark.parametrize(
    "name", ["power_iteration", "h100_2gpu_copy_bound", "graph_level", "mpi_saxpy_old_schema"]
)
def test_real_exports(small: None, public_traces: Path, tmp_path: Path, name: str) -> None:
    check(public_traces / f"{name}.sqlite", tmp_path, 2500)


@pytest.mark.parametrize("holes", [False, True])
def test_rows_in_any_order(small: None, public_traces: Path, tmp_path: Path, holes: bool) -> None:
    """Shuffled tables; with holes among the rowids, nothing but queries can read them."""
    path = tmp_path / "trace.sqlite"
    path.write_bytes((public_traces / "power_iteration.sqlite").read_bytes())
    with closing(sqlite3.connect(path)) as database, database:
        for table in ("CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_RUNTIME", "NVTX_EVENTS"):
            database.execute(f"CREATE TEMP TABLE t AS SELECT * FROM {table}")
            database.execute(f"DELETE FROM {table}")
            database.execute(
                f"INSERT INTO {table} SELECT * FROM t ORDER BY (rowid * 7919) % 10007, rowid"
            )
            database.execute("DROP TABLE temp.t")
            if holes:
                database.execute(f"UPDATE {table} SET rowid = rowid * 100003")
    check(path, tmp_path, 1500)


def test_what_is_no_trace_is_refused_as_in_memory(tmp_path: Path) -> None:
    path = tmp_path / "empty.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE StringIds (id INTEGER, value TEXT)")
    with pytest.raises(TraceError, match="holds no CUDA or NVTX rows"):
        build.build_store(path, tmp_path, 10**9, silent)


@settings(PATCHED)
@given(
    rows=st.lists(st.tuples(st.integers(-3, 3), st.integers(-40, 40)), min_size=1, max_size=80),
    size=st.integers(1, 30),
    most=st.integers(1, 30),
)
def test_runs_give_back_every_row_by_ranges_of_the_key(
    tiny: None, tmp_path_factory: pytest.TempPathFactory, rows: list, size: int, most: int
) -> None:
    sorting = Runs(tmp_path_factory.mktemp("runs"), "rows", ("a", "b"))
    for low in range(0, len(rows), size):
        part = np.array(rows[low : low + size], np.int64)
        number = np.arange(low, low + len(part))
        sorting.add({"a": part[:, 0], "b": part[:, 1], "number": number})
    found: list[tuple[int, int, int]] = []
    for part in sorting.merged(most):
        order = np.lexsort((part["b"], part["a"]))  # stable: rows of equal key stay as they came
        here = list(
            zip(*(part[name][order].tolist() for name in ("a", "b", "number")), strict=True)
        )
        assert not found or found[-1][:2] < here[0][:2]
        found += here
    assert found == sorted((a, b, number) for number, (a, b) in enumerate(rows))


@settings(PATCHED)
@given(
    calls=st.lists(
        st.tuples(st.integers(0, 2), st.integers(-2, 30), st.integers(0, 50), st.integers(0, 9)),
        max_size=60,
    ),
    asked=st.lists(
        st.tuples(st.integers(-1, 2), st.integers(-2, 30), st.integers(0, 60)), max_size=60
    ),
    most=st.integers(1, 20),
)
def test_join_finds_the_nearest_earlier_call_of_each_id(
    tiny: None, calls: list, asked: list, most: int
) -> None:
    """Calls are (process, id, start, length), asked (process, id, start); all of one thread."""

    def columns(rows: list, width: int) -> list[np.ndarray]:
        table = np.array(rows, np.int64).reshape(-1, width)
        kinds = (np.int8, np.int32, np.int64, np.int64)
        return [table[:, k].astype(kinds[k]) for k in range(width)]

    *first, length = columns(calls, 4)
    side = CallSide(*first, first[2] + length, np.zeros(len(calls), np.int32))
    result = np.zeros(len(asked), np.int64)
    shared: set[int] = set()
    repeats = join_calls(
        side, 3, most, [(Side(*columns(asked, 3)), result)],
        lambda rows: shared.update(rows.tolist()),
    )  # fmt: skip

    def meant(process: int, number: int, at: int) -> int:
        rows = [k for k, call in enumerate(calls) if call[:2] == (process, number)]
        if not rows or number <= 0:
            return -1
        spans = {k: (calls[k][2], calls[k][2] + calls[k][3]) for k in rows}
        inner = {
            k
            for k in rows
            for other in rows
            if spans[other][0] <= spans[k][0]
            and spans[k][1] <= spans[other][1]
            and (spans[other] != spans[k] or other < k)
        }
        earlier = [k for k in rows if k not in inner and spans[k][0] <= at]
        return max(earlier, key=lambda k: spans[k][0]) if earlier else rows[0]

    assert result.tolist() == [meant(*one) for one in asked]
    keys = [call[:2] for call in calls]
    assert shared == {k for k, key in enumerate(keys) if key[1] > 0 and keys.count(key) > 1}
    by_process = [np.array([i for p, i in keys if p == k], np.int64) for k in range(3)]
    assert repeats == sum(FirstMatch(ids).repeats() for ids in by_process)


def test_calls_of_no_thread(tmp_path: Path) -> None:
    trace = TraceBuilder(producer="builder", origin="synthetic", allow_invalid=True)
    thread = trace.thread(trace.process(100), 100)
    trace.launch(10, 20, 30, 40, thread=thread)
    trace.api(50, 60, "cudaFree", thread=1)
    path = tmp_path / "t.sqlite"
    trace.write(path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(
            "UPDATE CUPTI_ACTIVITY_KIND_RUNTIME SET globalTid = NULL WHERE globalTid = 1"
        )
    check(path, tmp_path, 10)


def test_a_column_that_bears_the_name_of_the_rowid(tmp_path: Path) -> None:
    path = tmp_path / "t.sqlite"
    with closing(sqlite3.connect(path)) as database, database:
        columns = "nameId INTEGER, globalTid INTEGER, rowid INTEGER"
        database.execute(f"CREATE TABLE ThreadNames ({columns})")
        rows = [(k, 7) for k in range(9)]
        database.executemany("INSERT INTO ThreadNames (nameId, globalTid) VALUES (?, ?)", rows)
    found = list(open_database(path).stream(THREAD_NAMES))
    assert [k for rows in found for k in rows["nameId"].tolist()] == list(range(9))


def test_few_stretches_are_read_beforehand_however_many_cores_there_are() -> None:
    begun = 0

    def job() -> int:
        nonlocal begun
        begun += 1
        return begun

    def jobs() -> Iterator[Callable[[], int]]:
        nonlocal asked
        for _ in range(100):
            asked += 1
            yield job

    asked = 0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(streamed, "threads", lambda: 64)
        results = streamed._ahead(jobs())
        next(results)
        assert asked == 5
        results.close()


def test_null_is_sorted_before_every_thread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "_SAMPLED", 1)
    added = Runs(tmp_path, "rows", ("thread", "start"))
    added.add({"thread": np.array([2**48] * 50 + [NULL] * 50), "start": np.arange(100)})
    added.add({"thread": np.array([2**48] * 50), "start": np.arange(100, 150)})
    found = [np.sort(rows["thread"]) for rows in added.merged(1)]
    assert np.concatenate(found).tolist() == [NULL] * 50 + [2**48] * 100
