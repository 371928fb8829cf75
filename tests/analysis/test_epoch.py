"""Times that count from 1970 (`--ts-normalize=true`) give the figures of the report's own clock."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from harness.analysis.analyze import analyze
from harness.analysis.readers.rules import clock_base
from harness.analysis.report import TraceReport
from harness.analysis.store.build import build_store
from harness.analysis.store.opened import Store

from .build import decode_loop

EPOCH = 1_796_000_000_000_000_000
TIMES = (
    "CUPTI_ACTIVITY_KIND_KERNEL", "CUPTI_ACTIVITY_KIND_MEMCPY", "CUPTI_ACTIVITY_KIND_RUNTIME",
    "CUPTI_ACTIVITY_KIND_SYNCHRONIZATION", "NVTX_EVENTS",
)  # fmt: skip


def loop(folder: Path, *, later: int, session: int | None) -> Path:
    """A loop whose times are all later, in an export that knows when it began or not."""
    path = folder / "loop.sqlite"
    decode_loop(sync="stream").write(path, force=True)
    with closing(sqlite3.connect(path)) as base:
        for table in TIMES:
            base.execute(f"UPDATE {table} SET start = start + ?, end = end + ?", (later, later))
        base.execute("DROP TABLE IF EXISTS TARGET_INFO_SESSION_START_TIME")
        if session is not None:
            base.execute("CREATE TABLE TARGET_INFO_SESSION_START_TIME (utcEpochNs INTEGER)")
            base.execute("INSERT INTO TARGET_INFO_SESSION_START_TIME VALUES (?)", (session,))
        base.commit()
    return path


def read(path: Path, how: str, folder: Path) -> TraceReport:
    if how == "memory":
        return analyze(path)
    place = folder / "store"
    place.mkdir()
    build_store(path, place, 64 << 20, lambda *_: None)
    return analyze(Store(place, path))


@pytest.mark.parametrize("how", ["memory", "parts"])
@pytest.mark.parametrize("session", [None, EPOCH, 5])
def test_normalised_times(tmp_path: Path, how: str, session: int | None) -> None:
    plain = analyze(loop(tmp_path, later=0, session=None))
    found = read(loop(tmp_path, later=EPOCH, session=session), how, tmp_path)
    assert found.verdicts == plain.verdicts == ()
    assert [one.idle_per_step for one in found.series] == [
        one.idle_per_step for one in plain.series
    ]
    assert found.devices[0].causes == plain.devices[0].causes
    moved = found.devices[0].window_start_ns - plain.devices[0].window_start_ns
    # Where the export knows when it began, its own clock is found again.
    assert (moved == 0) == (session == EPOCH)
    assert abs(moved) < 10**9


@pytest.mark.parametrize(
    ("first", "session", "base"),
    [
        (None, None, 0),
        (10**9, EPOCH, 0),
        (-(10**9), EPOCH, 0),
        (2**60 - 1, None, 0),
        (EPOCH + 7, EPOCH, EPOCH),
        (EPOCH + 7, None, EPOCH + 7),
        (2**61, EPOCH, 0),  # no clock gives it
    ],
)
def test_what_is_taken_off(first: int | None, session: int | None, base: int) -> None:
    assert clock_base(first, session) == base
