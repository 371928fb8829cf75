"""The CPU time of ranges, from the marks that our launcher set in them, into a table of ours."""

from __future__ import annotations

import contextlib
import sqlite3
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from ...analysis.model.evidence import CPU_MARKS, CPU_TABLE

_MARK = 34
_PUSH_POP = (59, 70)
_NEAR = 64
"""Ranges that may stand between a range's begin and its mark: collections, which end at once."""
_ROW = tuple[int, int, int, int, int]
_CREATE = f"""CREATE TABLE {CPU_TABLE} (
    start INTEGER NOT NULL, end INTEGER NOT NULL, globalTid INTEGER NOT NULL,
    cpuStart INTEGER NOT NULL, cpuEnd INTEGER NOT NULL
)"""


def add_cpu_times(sqlite: Path) -> int:
    """Add the table to an export of nsys; returns how many ranges it has.

    An export without marks stays as it is, and so does one that cannot be read or has the table.
    """
    with (
        contextlib.suppress(sqlite3.Error),
        contextlib.closing(sqlite3.connect(f"{sqlite.absolute().as_uri()}?mode=rw", uri=True)) as b,
    ):
        b.text_factory = lambda raw: raw.decode("utf-8", "replace")
        found = list(_rows(b))
        if found:
            with b:
                b.execute(_CREATE)
                b.executemany(f"INSERT INTO {CPU_TABLE} VALUES (?, ?, ?, ?, ?)", found)
        return len(found)
    return 0


def _rows(base: sqlite3.Connection) -> Iterator[_ROW]:
    marks: dict[int, list[tuple[int, bool, int]]] = defaultdict(list)
    kinds = {name: kind == "begin" for kind, name in CPU_MARKS.items()}
    asked = base.execute(
        "SELECT n.globalTid, n.start, COALESCE(s.value, n.text), n.int64Value FROM NVTX_EVENTS n "
        "LEFT JOIN StringIds s ON s.id = n.textId WHERE n.eventType = ? AND "
        "COALESCE(s.value, n.text) IN (?, ?) AND n.int64Value IS NOT NULL ORDER BY n.start",
        (_MARK, *kinds),
    )
    for tid, time, name, cpu in asked:
        marks[tid].append((time, kinds[name], cpu))
    if not marks:
        return
    ranges: dict[int, list[tuple[int, int]]] = defaultdict(list)
    asked = base.execute(
        "SELECT globalTid, start, end FROM NVTX_EVENTS WHERE eventType IN (?, ?) AND end > start "
        "ORDER BY start, end DESC",
        _PUSH_POP,
    )
    for tid, start, end in asked:
        if tid in marks:
            ranges[tid].append((start, end))
    for tid, of_thread in marks.items():
        yield from _matched(tid, of_thread, ranges[tid])


def _matched(
    tid: int, marks: list[tuple[int, bool, int]], ranges: list[tuple[int, int]]
) -> Iterator[_ROW]:
    """The ranges whose first and last mark are a pair: other pairs stand for ranges not recorded.

    Both lists are of one thread and sorted by time.
    """
    times = [time for time, *_ in marks]
    starts = [start for start, _ in ranges]
    open_marks: list[tuple[int, int]] = []
    for time, begins, cpu in marks:
        if begins:
            open_marks.append((time, cpu))
            continue
        if not open_marks:
            continue
        first, cpu_first = open_marks.pop()
        near = bisect_right(starts, first)
        for start, end in reversed(ranges[max(0, near - _NEAR) : near]):
            if end < time:
                continue
            only = bisect_left(times, start), bisect_right(times, end)
            if times[only[0]] == first and times[only[1] - 1] == time:
                yield start, end, tid, cpu_first, cpu
            break
