"""What a row must be to count, and what stands in for what it does not say.

Written once: the reader asks it of whole tables, the builder of a store of one stretch at a time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import numpy as np

from ..model.arrays import Bool, Code, index_among, ordered
from ..model.intervals import Int64
from ..model.schema import MAX_TIME, NULL, PID_MASK, UNKNOWN_CALL, Columns, api_name
from ..model.trace import EVERY_THREAD, Dropped, Unusable

# Times

_YEAR = 366 * 86_400 * 10**9


def all_sane(start: Int64, end: Int64) -> bool:
    """Whether no time is null or absurd: one pass, for the usual table."""
    if len(start) == 0:
        return True
    low = min(int(start.min()), int(end.min()))
    return low > -MAX_TIME and max(int(start.max()), int(end.max())) < MAX_TIME


def sane(times: Int64) -> Bool:
    """Times that a clock can give; NULL is none."""
    return (times > -MAX_TIME) & (times < MAX_TIME)


def unusable(start: Int64, end: Int64) -> Unusable:
    """How many rows of the host have impossible times; NULL as an end is none."""
    missing = start == NULL
    wild = ~missing & ~(sane(start) & (sane(end) | (end == NULL)))
    backwards = ~missing & ~wild & (end != NULL) & (end < start)
    return Unusable(
        reversed=int(np.count_nonzero(backwards)),
        null=int(np.count_nonzero(missing)),
        absurd=int(np.count_nonzero(wild)),
    )


_FIRST_ROWS = 64
_TIMES = ("start", "end", "timestamp")


def clock_base(first: int | None, session: int | None) -> int:
    """What to take off all times: 0, or the epoch's part of times that count from 1970.

    `nsys --ts-normalize=true` writes those; they are beyond what sums of two may be. `first`: the
    start of the file's first row with one; `session`: when the recording began, where known.
    """
    if first is None or not MAX_TIME <= first < 2 * MAX_TIME:
        return 0
    near = session is not None and abs(first - session) < _YEAR
    return session if session is not None and near else first


def first_start(tables: Iterable[Columns]) -> int | None:
    """The least usual start of the first rows that have one, in the first table with such rows.

    Usual is what a clock that most of them were written by can give: one damaged row tells nothing.
    """
    for rows in tables:
        known = rows["start"][: 2 * _FIRST_ROWS]
        known = known[known != NULL][:_FIRST_ROWS]
        if len(known):
            middle = int(np.partition(known, len(known) // 2)[len(known) // 2])
            like = (known >= MAX_TIME) == (middle >= MAX_TIME)
            return int(known[like & (known < 2 * MAX_TIME)].min(initial=middle))
    return None


def since(rows: Columns, base: int) -> Columns:
    """The same rows with their times less the base."""
    times = {name: rows[name] for name in _TIMES if name in rows} if base else {}
    if not times:
        return rows
    return rows | {name: np.where(times[name] == NULL, NULL, times[name] - base) for name in times}


# Rows that count


def usable_operations(start: Int64, end: Int64) -> tuple[Bool | None, Dropped]:
    """Which rows can be busy, None for all; and the others by reason."""
    if all_sane(start, end) and bool((end > start).all()):
        return None, Dropped()
    missing = (start == NULL) | (end == NULL)
    wild = ~missing & ~(sane(start) & sane(end))
    hollow = ~missing & ~wild & (end <= start)
    dropped = Dropped(
        empty=int(np.count_nonzero(hollow)),
        null=int(np.count_nonzero(missing)),
        absurd=int(np.count_nonzero(wild)),
    )
    return ~(missing | wild | hollow), dropped


def usable_calls(rows: Columns) -> tuple[Columns, Bool | None, Unusable]:
    """(calls that began at a time, which rows these are or None for all, the others by reason).

    A call that never returned has no end: it holds its thread for no time we know of. One with
    `end < start` is counted, and ends where it starts: what it launched is its own all the same.
    """
    start, end = rows["start"], rows["end"]
    if all_sane(start, end) and not bool((end < start).any()):
        return rows, None, Unusable()
    keep = sane(start) & (sane(end) | (end == NULL))
    kept = {name: column[keep] for name, column in rows.items()}
    kept["end"] = np.maximum(kept["end"], kept["start"])  # NULL is the least of all
    return kept, keep, unusable(start, end)


def usable_ranges(rows: Columns) -> tuple[Bool, Unusable]:
    """Which rows are ranges, those that never closed included; and the others by reason.

    Imported ranges (NVTXT) may name no thread: nothing can be said of what they launched.
    """
    start, end = rows["start"], rows["end"]
    keep = sane(start) & ((end == NULL) | (sane(end) & (end >= start)))
    dropped = Unusable() if bool(keep.all()) else unusable(start, end)
    keep &= rows["globalTid"] != NULL
    return keep, dropped


def usable_overheads(tables: list[Columns]) -> Columns:
    """The rows of the overhead tables that took time."""
    return lasting({name: np.concatenate([t[name] for t in tables]) for name in tables[0]})


def lasting(rows: Columns) -> Columns:
    """The rows that took time, from one possible time to another."""
    keep = sane(rows["start"]) & sane(rows["end"]) & (rows["end"] > rows["start"])
    return {name: column[keep] for name, column in rows.items()}


# What stands in


def named_processes(pids: Int64, callers: Collection[int]) -> Int64:
    """globalPids of GPU rows: an export that names none, and holds the calls of one, means it."""
    if len(callers) != 1:
        return pids
    nameless = (pids & PID_MASK & ~NULL) == 0
    return np.where(nameless, next(iter(callers)), pids) if nameless.any() else pids


def closing_threads(rows: Columns) -> Int64:
    """globalTid that closed each range: its own, unless it crosses threads."""
    closer: Int64 = rows["endGlobalTid"]
    return np.where((closer == NULL) | (closer == 0), rows["globalTid"], closer)


def overhead_threads(tids: Int64, known: Int64) -> Code:
    """Place of each globalTid of overhead rows among the known ones; see `trace.Overheads`."""
    thread = index_among(tids, known)
    thread[tids == NULL] = EVERY_THREAD
    return thread


def failed_calls(returned: Int64) -> Bool:
    """Calls whose return value is an error; NULL is none."""
    failed: Bool = returned != 0
    failed &= returned != NULL
    return failed


def call_names(ids: Int64, strings: Mapping[int, str]) -> list[str]:
    """API name of each string id."""
    return [api_name(strings.get(i, "")) or UNKNOWN_CALL for i in ids.tolist()]


def thread_names(rows: Columns, strings: Mapping[int, str], tids: Int64) -> list[tuple[int, str]]:
    """(globalTid, name) of each thread, by the rows of `schema.THREAD_NAMES`; empty for none."""
    named = dict(zip(rows["globalTid"].tolist(), rows["nameId"].tolist(), strict=True))
    return [(tid, strings.get(named[tid], "") if tid in named else "") for tid in tids.tolist()]


def range_names(
    rows: Columns, strings: dict[int, str], given: dict[str, int] | None = None
) -> Int64:
    """String id of each range: textId where registered, else a new negative id for its text.

    `given`: the texts that had such an id already, where the ranges come in several parts.
    """
    ids: Int64 = rows["textId"]
    own = (ids == NULL) | (ids == 0)
    if not own.any():
        return ids
    ids = ids.copy()
    given = {} if given is None else given
    texts = rows["text"]
    for row in np.flatnonzero(own).tolist():
        text = texts[row]
        # textId 0 is nsys's "[Unknown]" only where the row brings no text of its own.
        if not text and ids[row] == 0:
            continue
        ids[row] = given.setdefault(text, -1 - len(given))
    strings.update({string_id: text for text, string_id in given.items()})
    return ids


# Order


def by_thread(thread: Code | Int64, start: Int64, end: Int64) -> Int64 | None:
    """Order by (thread, start, -end), or None where the rows stand so."""
    if len(thread) and (thread == thread[0]).all():
        return None if bool((start[1:] > start[:-1]).all()) else ordered(start, -end)
    return np.lexsort((-end, start, thread))
