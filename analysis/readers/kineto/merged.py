"""Traces of several ranks in one file: mergers put the rank before each process, `[TP00] 4711`.

CUDA ordinals and correlation ids are each rank's own there.
"""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np

from ...model.intervals import Int64

_MERGED = re.compile(r"^(.*\D)(\d{1,9})$")


def rank_of(pid: object) -> tuple[str, object]:
    """(what stands before the process's number, the number); an empty text for a plain pid.

    >>> rank_of("[TP00] 100"), rank_of(100), rank_of("Spans")
    (('[TP00]', 100), ('', 100), ('', 'Spans'))
    """
    found = _MERGED.fullmatch(pid) if isinstance(pid, str) else None
    return (found[1].strip(), int(found[2])) if found else ("", pid)


def plain_pids(pids: list[object]) -> list[object]:
    """The processes without their ranks, where their numbers alone tell them apart."""
    parts = [rank_of(pid) for pid in pids]
    users = defaultdict(set)
    for rank, number in parts:
        users[number].add(rank)
    return [
        number if len(users[number]) == 1 else pid
        for pid, (_, number) in zip(pids, parts, strict=True)
    ]


def callers_of(correlation: Int64, called: Int64, owner: Int64, fallback: np.int64 | int) -> Int64:
    """The process that made the call of each correlation id, `fallback` where none did.

    `called`, `owner`: id and process of each call. Of several processes with this id, the one that
    made the most calls.
    """
    pids, counts = np.unique(owner, return_counts=True)
    if len(pids) == 0:
        return np.full(len(correlation), fallback, np.int64)
    result = np.full(len(correlation), pids[np.argmax(counts)], np.int64)
    if len(pids) > 1:
        rank = np.empty(len(pids), np.int64)
        rank[np.argsort(counts, kind="stable")] = np.arange(len(pids))
        order = np.lexsort((rank[np.searchsorted(pids, owner)], called))
        at = np.searchsorted(called[order], correlation, side="right") - 1
        hit = (at >= 0) & (called[order][np.maximum(at, 0)] == correlation)
        result[hit] = owner[order[at[hit]]]
    return result
