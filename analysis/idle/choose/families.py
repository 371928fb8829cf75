"""Families of ranges on threads, and how much of the work each one holds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool, factorize, groups, stretches
from ...model.intervals import Int64
from ...model.schema import PID_MASK
from ...model.source import OPERATORS_DOMAIN, TORCH_PROFILER
from ...store.layout import LAUNCHED
from ...store.opened import Store
from ...store.whole import Whole
from ..numbers import trailing_number
from ..sizes import Sizes

MOST_REPEATS = 200_000
"""Ranges of one family on one thread from which they are no steps."""
A_THREAD, IN_ALL = 12, 256
"""Families that are looked at, on a thread and in all: those that last longest."""
LEAST = 3
"""Repeats that a family of steps has at least."""


class Family(Struct, frozen=True, eq=False):
    """Ranges of one thread whose names differ in numbers alone; those inside another left out, and
    those never closed. Arrays have shape (n,)."""

    name: str
    """With stars for numbers."""
    thread: int
    process: int
    start: Int64
    end: Int64
    number: Int64
    """What each name ends with, -1 for none."""
    overlaps: bool
    """Two of them cross."""

    def __len__(self) -> int:
        return len(self.start)

    def within(self, outer: Family) -> float:
        """Share of these that lie inside one of the other's."""
        at = np.searchsorted(outer.start, self.start, side="right") - 1
        inside = (at >= 0) & (self.end <= outer.end[np.maximum(at, 0)])
        return float(inside.mean()) if len(self) else 0.0


class Holds(Struct):
    """How many launches a family holds."""

    own: int = 0
    """Of its thread."""
    between: int = 0
    """Of its thread, from its first range to its last one."""
    process: int = 0
    """Of all threads of its process, by time."""
    of_process: int = 0
    """All there are."""


def families(tables: Whole | Store, sizes: Sizes, named: dict[int, str]) -> list[Family]:
    """Those with three ranges or more that last longest. `named`: string ids of the ranges that
    count, and the family of each."""
    names = list(dict.fromkeys(named.values()))
    code_of = {name: k for k, name in enumerate(names)}
    codes = {string_id: code_of[name] for string_id, name in named.items()}
    count: dict[int, int] = {}
    total: dict[int, int] = {}
    for _, keys, length in _keyed(tables, sizes, codes, len(names)):
        place, distinct = factorize(keys)
        counts = np.bincount(place, minlength=len(distinct))
        lasts = np.zeros(len(distinct), np.int64)
        np.add.at(lasts, place, length)
        for one, n, ns in zip(distinct.tolist(), counts.tolist(), lasts.tolist(), strict=True):
            count[one] = count.get(one, 0) + n
            total[one] = total.get(one, 0) + ns
    chosen = _longest(count, total, len(names))
    rows: dict[int, list[Int64]] = {key: [] for key in chosen}
    for at, keys, _ in _keyed(tables, sizes, codes, len(names)) if chosen else ():
        place, distinct = factorize(keys)
        for k, mine in groups(place):
            if int(distinct[k]) in rows:
                rows[int(distinct[k])].append(at[mine])
    process = {pid: k for k, pid in enumerate(tables.processes)}
    found = []
    for key in chosen:
        thread, code = divmod(key, len(names))
        pid = tables.threads[thread].global_tid & PID_MASK
        read = tables.ranges.read(np.concatenate(rows[key]), "start", "end", "name")
        found.append(_family(tables, names[code], thread, process.get(pid, -1), read))
    tables.forget()
    return found


def _keyed(
    tables: Whole | Store, sizes: Sizes, codes: dict[int, int], names: int
) -> Iterator[tuple[Int64, Int64, Int64]]:
    """(rows, thread and family as one key, lengths) of the closed ranges that count."""
    ranges = tables.ranges
    torch = tables.source.producer == TORCH_PROFILER
    for rows in stretches(ranges.rows, sizes.host_rows):
        place, ids = factorize(ranges.one(rows, "name").astype(np.int64))
        table = np.array([codes.get(one, -1) for one in ids.tolist()], np.int64)
        family = table[place] if len(ids) else np.empty(0, np.int64)
        thread = ranges.one(rows, "thread").astype(np.int64)
        wanted = (family >= 0) & (thread >= 0)
        if torch:
            wanted &= ranges.one(rows, "domain") != OPERATORS_DOMAIN
        at = np.flatnonzero(wanted)
        if len(at):
            at = at[~ranges.one(rows.start + at, "unclosed").astype(np.bool_)]
        if len(at):
            chosen = rows.start + at
            read = ranges.read(chosen, "start", "end")
            length = (read["end"] - read["start"]).astype(np.int64)
            yield chosen, thread[at] * names + family[at], length
        tables.forget()


def _longest(count: dict[int, int], total: dict[int, int], names: int) -> list[int]:
    there = [key for key, n in count.items() if LEAST <= n <= MOST_REPEATS]
    there.sort(key=lambda key: (-total[key], key))
    taken: dict[int, int] = {}
    found = []
    for key in there:
        thread = key // names
        taken[thread] = taken.get(thread, 0) + 1
        if taken[thread] <= A_THREAD:
            found.append(key)
    return found[:IN_ALL]


def _family(
    tables: Whole | Store, name: str, thread: int, process: int, read: dict[str, Int64]
) -> Family:
    start, end = read["start"].astype(np.int64), read["end"].astype(np.int64)
    order = np.lexsort((-end, start))
    start, end, ids = start[order], end[order], read["name"][order].astype(np.int64)
    reach = np.maximum.accumulate(end)
    outer = np.ones(len(start), np.bool_)
    outer[1:] = end[1:] > reach[:-1]
    start, end, ids = start[outer], end[outer], ids[outer]
    place, distinct = factorize(ids)
    number = np.array([trailing_number(tables.strings[one]) for one in distinct.tolist()], np.int64)
    return Family(
        name=name,
        thread=thread,
        process=process,
        start=start,
        end=end,
        number=number[place],
        overlaps=bool((start[1:] < end[:-1]).any()),
    )


def held_by(tables: Whole | Store, sizes: Sizes, found: list[Family]) -> list[Holds] | None:
    """What each holds of the calls that launched work; of all calls where none launched any; None
    where there is no call."""
    for flag in (LAUNCHED, 0):
        held = _held(tables, sizes, found, flag)
        if any(one.of_process for one in held):
            return held
    return None


def _held(tables: Whole | Store, sizes: Sizes, found: list[Family], flag: int) -> list[Holds]:
    calls = tables.calls
    process_of = {pid: k for k, pid in enumerate(tables.processes)}
    process = [process_of.get(one.global_tid & PID_MASK, -1) for one in tables.threads]
    held = [Holds() for _ in found]
    for rows in stretches(calls.rows, sizes.host_rows):
        mask: Bool = (calls.one(rows, "flags") & flag) == flag
        thread, start = calls.one(rows, "thread")[mask], calls.one(rows, "start")[mask]
        # Calls are sorted by (thread, start): those of one thread stand together.
        edges = np.flatnonzero(np.diff(thread, prepend=-1, append=-1)).tolist()
        for lo, hi in pairwise(edges):
            at, whose = start[lo:hi], int(thread[lo])
            for family, sums in zip(found, held, strict=True):
                if family.process == process[whose]:
                    _add(sums, family, at, own=family.thread == whose)
        tables.forget()
    return held


def _add(held: Holds, family: Family, at: Int64, *, own: bool) -> None:
    """The launches of one thread, in order."""
    inside = int((np.searchsorted(at, family.end) - np.searchsorted(at, family.start)).sum())
    held.process += inside
    held.of_process += len(at)
    if own:
        held.own += inside
        first, last = np.searchsorted(at, [family.start[0], family.end.max()])
        held.between += int(last - first)
