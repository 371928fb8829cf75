"""The clock of a file, and ids of its threads that fit nsys's."""

from __future__ import annotations

from itertools import islice

import numpy as np

from ...model.intervals import Int64
from ...model.schema import NULL
from .columns import WILD
from .merged import plain_pids, rank_of
from .rows import Rows

VM = 1 << 48
_ID_LIMIT = 1 << 24
_FAR_NS = 10**9
"""Time before all other rows, beyond their own length, in which 0 is taken for no time."""


def clock_of(rows: Rows) -> tuple[int, bool]:
    """(start of the recording on the file's clock, whether 0 is no time on it).

    The start is the profiler's own, else that of the first row. CUPTI gives 0 where it has no time,
    and Kineto where a time lies before its base: far from all other rows 0 is no time.
    """
    tables = (rows.kernels, rows.copies, rows.sets, rows.calls, rows.annotations, rows.operators)
    starts = np.concatenate([table["start"] for table in tables])
    known = starts[(starts != NULL) & (np.abs(starts) < WILD)]
    others = known[known != 0]
    if len(others) < len(known) and len(others):
        low, high = int(others.min()), int(others.max())
        if low > high - low + _FAR_NS:
            return (rows.first if 0 < rows.first < WILD else low), True
    if rows.first != WILD:
        return rows.first, False
    return int(known.min()) if len(known) else 0, False


def ranks_of_threads(rows: Rows) -> Int64:
    """Code of the rank that each thread is of, as `Rows.ranks` has it; shape (threads,)."""
    return np.array([rows.ranks.get(rank_of(pid)[0], -1) for pid, _ in rows.threads], np.int64)


def global_ids(rows: Rows) -> Int64:
    """globalTid of each thread, shape (threads,); ids that do not fit 24 bits get a free one."""
    for key in rows.threads:
        rank = rank_of(key[0])[0]
        if name := f"{rank} {rows.thread_names.get(key, '')}".strip():
            rows.thread_names[key] = name
            rows.names(name)
    pids = _fitted(plain_pids([pid for pid, _ in rows.threads]))
    tids = _fitted([tid for _, tid in rows.threads])
    return np.array([VM | p << 24 | t for p, t in zip(pids, tids, strict=True)], np.int64)


def _fitted(values: list[object]) -> list[int]:
    fits = {v for v in values if isinstance(v, int) and 0 <= v < _ID_LIMIT}
    others = list(dict.fromkeys(value for value in values if value not in fits))
    spare = (number for number in range(_ID_LIMIT - 1, 0, -1) if number not in fits)
    given = dict(zip(others, sorted(islice(spare, len(others))), strict=True))
    # A float may equal an id that fits: 7.0 is in {7}.
    return [int(value) if value in fits else given[value] for value in values]
