"""Laws that hold between traces: change what must not matter, and no figure changes."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from random import Random

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from msgspec import structs, to_builtins

from harness.analysis.analyze import analyze
from harness.analysis.idle.gaps import GapKind, gap_kinds
from harness.analysis.model.schema import CopyKind
from harness.analysis.report import TraceReport
from harness.analysis.writer.writer import TraceBuilder

Change = Callable[[sqlite3.Connection, Random], None]

OPERATIONS = tuple(
    f"CUPTI_ACTIVITY_KIND_{t}" for t in ("KERNEL", "MEMCPY", "MEMSET", "GRAPH_TRACE")
)
TIMED = (*OPERATIONS, "CUPTI_ACTIVITY_KIND_RUNTIME", "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION",
         "NVTX_EVENTS", "PROFILER_OVERHEAD",
         "CUPTI_ACTIVITY_KIND_GRAPH_HOST_NODE_AND_HOST_LAUNCH")  # fmt: skip
SWITCHES = "GPU_CONTEXT_SWITCH_EVENTS"
CORRELATED = TIMED[:6]
OTHER_CALLS = ("cudaMalloc_v3020", "cudaEventRecord_v3020", "cudaLaunchHostFunc_v10000")


def invent(seed: int, path: Path) -> Path:
    """Two processes, three threads, two GPUs, five streams; steps, copies, waits, allocations; host
    functions, and contexts that take turns."""
    random = Random(seed)
    trace = TraceBuilder(producer="builder", origin="synthetic")
    trace.device(0, name="GPU", uuid="uuid-0")
    trace.device(1, name="GPU", uuid="uuid-1")
    for pid, tids in ((100, (100, 101)), (200, (200,))):
        process = trace.process(pid)
        for tid in tids:
            thread = trace.thread(process, tid, f"thread-{tid}")
            clock = 10_000 + random.randrange(500)
            for step in range(random.randrange(4, 8)):
                opened = clock
                for _ in range(random.randrange(1, 7)):
                    clock = _call(trace, random, clock + random.randrange(1, 300), thread)
                if random.random() < 0.8:
                    trace.nvtx(opened, clock + 1, f"Step {step}", thread=thread)
                clock += random.randrange(1, 900)
    _holds(trace, Random(f"{seed}, held"))
    trace.write(path, force=True)
    return path


def _holds(trace: TraceBuilder, random: Random) -> None:
    processes = trace.process(100), trace.process(200)
    for _ in range(20):
        start = 10_000 + random.randrange(20_000)
        trace.host_function(
            start, start + random.randrange(900), process=random.choice(processes),
            device=random.randrange(2),
        )  # fmt: skip
    for gpu in range(2):
        clock = 10_000
        while clock < 30_000:
            owner = random.randrange(2)
            for begin in (True, False):
                trace.context_switch(
                    clock, begin=begin, context=owner, gpu=gpu, process=processes[owner]
                )
                clock += random.randrange(1, 2_000)


def _call(trace: TraceBuilder, random: Random, clock: int, thread: int) -> int:
    end = clock + random.randrange(1, 80)
    start = end + random.choice((0, 5, 700, 2_500))
    stop = start + random.choice((1, 40, 300, 1_500))
    process = thread & ~0xFFFFFF
    where = {"device": random.randrange(2), "stream": random.choice((7, 13, 14))}
    kind = random.randrange(9)
    if kind == 0:
        end = stop + random.choice((-1, 0, 30)) if random.random() < 0.5 else end
        trace.copy(clock, max(end, clock + 1), start, stop, bytes=8, thread=thread, **where)
    elif kind == 1:
        trace.api(clock, end, random.choice(OTHER_CALLS), thread=thread)
    elif kind == 2:
        trace.wait(clock, end + 200, thread=thread, stream=where["stream"])
        return end + 200
    elif kind == 3:
        trace.wait(clock, end, thread=thread, api_name="cudaStreamWaitEvent_v3020", sync_type=2,
                   stream=where["stream"])  # fmt: skip
    elif kind == 4:
        trace.overhead(clock, end, "CUPTI Buffer flush", thread=thread)
    elif kind == 5:
        call = trace.api(clock, end, "cudaGraphLaunch_v10000", thread=thread)
        for k in range(3):
            at = start + 200 * k
            trace.kernel(at, at + 150, name="node", correlation=call, process=process, **where)
    elif kind == 6:
        call = trace.api(clock, end, "cudaMemcpyPeerAsync_v4000", thread=thread)
        trace.memcpy(start, stop, bytes=8, copy_kind=CopyKind.PTOP, correlation=call,
                     process=process, **where)  # fmt: skip
    else:
        trace.launch(clock, end, start, stop, name=f"k{kind}", thread=thread, **where)
    return end


def figures(found: TraceReport, shift: int = 0) -> dict[str, object]:
    """Every figure of a report, times made relative; whatever names a row is left out."""
    devices = []
    for gaps, device in zip(found.gaps, found.devices, strict=True):
        moved = structs.replace(
            device,
            window_start_ns=device.window_start_ns - shift,
            window_end_ns=device.window_end_ns - shift,
        )
        devices.append((gaps.device.uuid, moved, (gaps.start - shift).tolist(), gaps.end.tolist()))
    series = []
    for one in found.series:
        told = structs.asdict(one)
        plain = {n: to_builtins(v) for n, v in told.items() if n not in ("table", "pid")}
        for steady in (plain["steady"], plain["own_edges"]):
            if steady:
                steady["start_ns"] -= shift
                steady["end_ns"] -= shift
        columns = ("number", "host", "operations", "busy", "inter", "intra")
        series.append((plain, [getattr(one.table, name).tolist() for name in columns]))
    return {
        "devices": [(uuid, device, start) for uuid, device, start, _ in devices],
        "all": (found.all_window_ns, found.all_idle_ns),
        "series": series,
        "host": [structs.replace(h, pid=0) for h in found.host],
        "verdicts": [(v.code, v.level, v.reason) for v in found.verdicts],
    }


def tables_of(connection: sqlite3.Connection, names: tuple[str, ...]) -> list[str]:
    """Those of the named tables that the file holds."""
    there = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
    return [name for name in names if name in there]


def shuffle_rows(connection: sqlite3.Connection, random: Random) -> None:
    for table in (*TIMED, SWITCHES):
        columns = ", ".join(row[1] for row in connection.execute(f"PRAGMA table_info({table})"))
        if columns:
            rows = connection.execute(f"SELECT {columns} FROM {table}").fetchall()
            random.shuffle(rows)
            connection.execute(f"DELETE FROM {table}")
            holes = ", ".join("?" * len(rows[0])) if rows else ""
            connection.executemany(f"INSERT INTO {table} ({columns}) VALUES ({holes})", rows)


def reorder_tables(connection: sqlite3.Connection, random: Random) -> None:
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master")]
    random.shuffle(names)
    for name in names:
        connection.execute(f"CREATE TABLE moving AS SELECT * FROM {name}")
        connection.execute(f"DROP TABLE {name}")
        connection.execute(f"ALTER TABLE moving RENAME TO {name}")


def add_unrelated_tables(connection: sqlite3.Connection, random: Random) -> None:
    for name in ("CUPTI_ACTIVITY_KIND_UNKNOWN", "SCHED_EVENTS", "kernel", "NVTX_EVENTS_2"):
        connection.execute(f'CREATE TABLE "{name}" (start INT, end INT, globalTid INT, text TEXT)')
        connection.execute(f"INSERT INTO \"{name}\" VALUES (1, {10**15}, 7, 'Step 9')")
    connection.execute("ALTER TABLE CUPTI_ACTIVITY_KIND_RUNTIME ADD COLUMN novelty TEXT")


def renumber_correlations(connection: sqlite3.Connection, random: Random) -> None:
    factor, offset = random.choice((1, 3)), random.randrange(1, 10**6)
    for table in tables_of(connection, CORRELATED):
        connection.execute(
            f"UPDATE {table} SET correlationId = correlationId * {factor} + {offset}"
        )


def renumber_processes(connection: sqlite3.Connection, random: Random) -> None:
    move = random.randrange(1, 5000) << 24
    for (table,) in connection.execute("SELECT name FROM sqlite_master").fetchall():
        for row in connection.execute(f"PRAGMA table_info({table})").fetchall():
            if row[1] in ("globalTid", "globalPid", "endGlobalTid"):
                connection.execute(f"UPDATE {table} SET {row[1]} = {row[1]} + {move}")
            elif row[1] == "pid":
                connection.execute(f"UPDATE {table} SET pid = pid + {move >> 24}")


def renumber_strings(connection: sqlite3.Connection, random: Random) -> None:
    connection.execute("UPDATE StringIds SET id = -id")
    connection.execute("UPDATE StringIds SET id = 5000 - id")
    for (table,) in connection.execute("SELECT name FROM sqlite_master").fetchall():
        for row in connection.execute(f"PRAGMA table_info({table})").fetchall():
            if row[1] in ("nameId", "textId", "shortName", "demangledName"):
                connection.execute(f"UPDATE {table} SET {row[1]} = 5000 + {row[1]}")


UNSEEN: dict[str, Change] = {
    change.__name__: change
    for change in (
        shuffle_rows, reorder_tables, add_unrelated_tables, renumber_correlations,
        renumber_processes, renumber_strings,
    )
}  # fmt: skip


def changed(path: Path, change: Change, random: Random) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        change(connection, random)
    return path


quick = settings(
    max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
seeds = st.integers(0, 10**6)


@pytest.mark.parametrize("name", UNSEEN)
@quick
@given(seeds)
def test_what_must_not_matter(tmp_path: Path, name: str, seed: int) -> None:
    before = figures(analyze(invent(seed, tmp_path / "t.sqlite")))
    after = figures(analyze(changed(tmp_path / "t.sqlite", UNSEEN[name], Random(seed))))
    assert after == before


@quick
@given(seeds, st.sampled_from([1, 977, 10**12, -5_000]))
def test_a_shift_in_time_moves_times_alone(tmp_path: Path, seed: int, shift: int) -> None:
    def later(connection: sqlite3.Connection, random: Random) -> None:
        for table in tables_of(connection, TIMED):
            moved = f"start = start + {shift}, end = end + {shift}"
            connection.execute(f"UPDATE {table} SET {moved}")
        connection.execute(f"UPDATE {SWITCHES} SET timestamp = timestamp + {shift}")

    before = figures(analyze(invent(seed, tmp_path / "t.sqlite")))
    after = figures(analyze(changed(tmp_path / "t.sqlite", later, Random(0))), shift)
    assert after == before


@quick
@given(seeds)
def test_splitting_a_kernel_into_two_that_touch_changes_counts_alone(
    tmp_path: Path, seed: int
) -> None:
    def split(connection: sqlite3.Connection, random: Random) -> None:
        table = "CUPTI_ACTIVITY_KIND_KERNEL"
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({table})")]
        second = ", ".join("end - 1" if c == "start" else c for c in columns)
        long = "end - start > 1"
        connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT {second} FROM {table} WHERE {long}"
        )
        connection.execute(f"UPDATE {table} SET end = end - 1 WHERE {long}")

    def without_counts(found: TraceReport) -> object:
        known = figures(found)
        devices = [
            (uuid, structs.replace(device, operations=0), start)
            for uuid, device, start in known["devices"]
        ]
        series = [
            (
                {k: v for k, v in plain.items() if k not in ("by_time", "other_threads")},
                [column for k, column in enumerate(columns) if k != 2],
            )
            for plain, columns in known["series"]
        ]
        return devices, series, known["all"], known["host"]

    whole = analyze(invent(seed, tmp_path / "t.sqlite"))
    ends = whole.trace.operations.end
    # Of two that end together either is the one before the gap, and the order of starts tells.
    assume(len(np.unique(ends)) == len(ends))
    before = without_counts(whole)
    after = without_counts(analyze(changed(tmp_path / "t.sqlite", split, Random(seed))))
    assert after == before


@quick
@given(seeds)
def test_kinds_causes_and_devices_add_up(tmp_path: Path, seed: int) -> None:
    found = analyze(invent(seed, tmp_path / "t.sqlite"))
    for device, split in zip(found.devices, found.attributions, strict=True):
        assert device.busy_ns + device.idle_ns == device.window_ns
        assert sum(device.causes.values()) == device.idle_ns
        assert (split.time >= 0).all()
        assert sum(device.host_ranges.values()) == device.causes["host"]
        assert sum(device.handoffs.values()) == device.causes["handoff"]
        assert sum(device.drained_by.values()) <= device.idle_ns
    for one in found.series:
        idle = next(
            d.idle_ns for g, d in zip(found.gaps, found.devices, strict=True)
            if g.device.index == one.device
        )  # fmt: skip
        assert one.inter_ns + one.intra_ns + one.unassigned_ns + one.boundary_ns == idle
        assert int(one.table.idle.sum()) == one.inter_ns + one.intra_ns
        steady = one.steady
        if steady is not None:
            parts = steady.inter_ns + steady.intra_ns + steady.unassigned_ns
            assert parts == pytest.approx(steady.idle_ns)
            assert sum(steady.causes.values()) == pytest.approx(steady.idle_ns)
            assert steady.busy_ns + steady.idle_ns == pytest.approx(steady.period_ns)
            assert 0 <= steady.recoverable_ns <= steady.period_ns
    for series in found.steps.series:
        for gaps in found.gaps:
            kind, step = gap_kinds(gaps, series)
            assert ((step >= 0) == (kind <= GapKind.INTRA)).all()


@quick
@given(seeds, st.integers(1, 5_000))
def test_a_pause_of_everything_is_idle_time_of_every_device(
    tmp_path: Path, seed: int, pause: int
) -> None:
    """Everything after a moment when no call, range or operation is open happens later."""
    trace = TraceBuilder(producer="builder", origin="synthetic")
    random = Random(seed)
    thread = trace.thread(trace.process(100), 100)
    clock, edges = 1_000, []
    for step in range(6):
        trace.nvtx(clock, clock + 400, f"Step {step}", thread=thread)
        for k in range(3):
            at = clock + 100 * k
            trace.launch(at, at + random.randrange(1, 50), at + 60, at + 90, thread=thread)
        clock += 400
        edges.append(clock + 5)
        clock += random.randrange(20, 300)
    trace.write(tmp_path / "t.sqlite", force=True)
    at = random.choice(edges[:-1])

    def wait(connection: sqlite3.Connection, _: Random) -> None:
        for table in tables_of(connection, TIMED):
            moved = f"start = start + {pause}, end = end + {pause}"
            connection.execute(f"UPDATE {table} SET {moved} WHERE start >= {at}")

    (before,) = analyze(tmp_path / "t.sqlite").devices
    (after,) = analyze(changed(tmp_path / "t.sqlite", wait, random)).devices
    assert after.idle_ns == before.idle_ns + pause
    assert after.busy_ns == before.busy_ns
    assert after.causes == before.causes | {"host": before.causes["host"] + pause}
