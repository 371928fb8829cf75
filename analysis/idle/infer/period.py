"""Find the loop in a sequence of operations: the shortest stretch that keeps coming back whole.

A marker is a run of 1, 2, 4, ... operations that comes back at a steady distance. A layer repeats
inside a step: its markers are steady too, but every twelfth distance (say) is longer, at regular
spacing; that tells a loop inside the loop from the step. Irregular extras (a cache that grows, a
garbage collection, an evaluation now and then) do not. What a marker proposes is then checked
operation by operation. O(n log n) for n operations, and O(n p / 64) for a period of p whose
repeats differ from each other.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool
from ...model.intervals import Int64

MIN_REPEATS = 4
SAME = 0.05
"""Repeats whose lengths differ by up to this share are of one length: a stop check now and then."""
ALIKE = 0.25
"""Irregular repeats may differ by this much before they count as something else."""
STEADY = 0.85
"""Share of the repeats that must be alike."""
AGREEMENT = 0.9
"""Share of a repeat's operations that must come in the same order in the others."""
AGREEMENT_OF_SHORT = 0.95
_SHORT = 20
"""Operations; shorter repeats agree by chance more easily."""
COVERAGE = 0.5
"""Share of all operations that the loop must hold, or it is not what the trace is about."""

REGULAR = 0.8
"""Share of the longer distances that must come back where regular spacing says."""

_SPACINGS = 24
_INNER_PERIODS = 32
_LONGEST_MARKER = 256
_COMPARED = 64
"""Distinct repeats that are compared with the typical one, spread over the trace."""
_CANDIDATES = 256
_LONG = 16_384
"""Operations of a repeat that are compared: the first ones, where a repeat has more."""
_HOPELESS = 0.6
"""Agreement of the first three comparisons below which the others are spared."""


class Loop(Struct, frozen=True):
    """A stretch that keeps coming back."""

    marks: Int64
    """Shape (repeats + 1,): where the marker stands in the sequence, ascending."""
    period: int
    """Operations from one mark to the next, median."""
    template: Int64
    """Shape (about period,): the typical repeat, from a mark on."""
    agreement: float
    """Mean share of a repeat's operations that the typical repeat has in the same order."""
    steady: float
    """Share of the repeats that are alike in length."""
    inner: tuple[int, int] | None
    """(period, count) of a loop inside each repeat, such as the layers of a model."""


class NoLoop(Struct, frozen=True):
    """Why there is none: `best` is the nearest thing to a loop, for the message."""

    reason: str
    best: int = 0


def find_loop(tokens: Int64) -> Loop | NoLoop:
    """The shortest stable period of `tokens`, shape (n,), one integer an operation."""
    n = len(tokens)
    if n < MIN_REPEATS:
        return NoLoop(f"{n} operations are too few")
    nearest = (0.0, 0)
    tried: set[tuple[int, int]] = set()
    for ids in _grams(tokens):
        for marks in _markers(ids, n):
            gaps = np.diff(marks)
            period = int(np.median(gaps))
            key = (period, len(marks))
            if key in tried:
                continue
            tried.add(key)
            off = np.abs(gaps - period) > SAME * period
            if regular_spacing(off):
                continue  # a loop inside the one that is sought
            alike = np.abs(gaps - period) <= ALIKE * period
            template, agreement = _compare(tokens, marks, alike)
            if agreement > nearest[0]:
                nearest = (agreement, period)
            if agreement >= (AGREEMENT if period >= _SHORT else AGREEMENT_OF_SHORT):
                return Loop(
                    marks=marks,
                    period=period,
                    template=template,
                    agreement=agreement,
                    steady=float(alike.mean()),
                    inner=inner_loop(template),
                )
    if nearest[1]:
        return NoLoop(
            f"the best candidate, {nearest[1]} operations, agrees with itself in "
            f"{nearest[0]:.0%} only",
            nearest[1],
        )
    return NoLoop("no operation comes back at a steady distance")


def inner_loop(template: Int64) -> tuple[int, int] | None:
    """(period, repeats) of a stretch that comes back 3 times running and fills half of a repeat.

    >>> inner_loop(np.array([9, 1, 2, 3, 1, 2, 3, 1, 2, 3, 8]))
    (3, 3)
    """
    n = len(template)
    best = (0, 0, 0)
    order = np.argsort(template, kind="stable")
    same = template[order[1:]] == template[order[:-1]]
    distance = np.diff(order)[same]
    periods, counts = np.unique(distance[distance > 1], return_counts=True)
    for period in periods[np.argsort(-counts)][:_INNER_PERIODS].tolist():
        repeat = np.concatenate(([False], template[period:] == template[: n - period], [False]))
        edges = np.flatnonzero(np.diff(repeat.astype(np.int8)))
        if len(edges):
            run = int((edges[1::2] - edges[::2]).max()) + period
            best = max(best, (run if run >= max(3 * period, n / 2) else 0, -period, run // period))
    return (-best[1], best[2]) if best[0] else None


def _grams(tokens: Int64) -> Iterator[Int64]:
    """Ids of the runs of 1, 2, 4, ... tokens that start at each place; shapes (n - run + 1,)."""
    ids = np.unique(tokens, return_inverse=True)[1].astype(np.int64)
    length = 1
    while length <= _LONGEST_MARKER and len(ids) > MIN_REPEATS:
        yield ids
        # A run of twice the length is a pair of runs: doubling, as suffix arrays are built.
        pair = ids[:-length] * (int(ids.max()) + 1) + ids[length:]
        ids = np.unique(pair, return_inverse=True)[1].astype(np.int64)
        length *= 2


def _markers(ids: Int64, n: int) -> list[Int64]:
    """Places of the ids that come back at a steady distance, shortest distance first."""
    order = np.argsort(ids, kind="stable")
    starts = np.concatenate(([0], np.flatnonzero(np.diff(ids[order])) + 1))
    counts = np.diff(np.concatenate((starts, [len(ids)])))
    enough = counts >= _fewest(n)
    if not enough.any():
        return []
    group = np.repeat(np.arange(len(starts)), counts)
    gap = np.diff(order, append=0)
    last = starts + counts - 1
    real = np.ones(len(order), np.bool_)
    real[last] = False
    real &= enough[group]
    gap, group = gap[real], group[real]
    by_size = np.lexsort((gap, group))
    first = np.concatenate(([0], np.cumsum(counts[enough] - 1)[:-1]))
    median = gap[by_size][first + (counts[enough] - 1) // 2]
    rank = np.cumsum(enough) - 1
    alike = np.abs(gap - median[rank[group]]) <= ALIKE * median[rank[group]]
    share = np.add.reduceat(alike, first) / (counts[enough] - 1)
    span = np.add.reduceat(gap * alike, first) + median
    good = np.flatnonzero((share >= STEADY) & (span >= COVERAGE * n))
    # Of those with one distance, the steadiest and the one that covers most.
    good = good[np.lexsort((-span[good], -share[good], median[good]))][:_CANDIDATES]
    at = np.flatnonzero(enough)[good]
    return [order[starts[k] : starts[k] + counts[k]] for k in at.tolist()]


def _fewest(n: int) -> int:
    """Marks that a loop must have: in a long trace a few stand evenly by chance.

    >>> _fewest(5_000), _fewest(100_000), _fewest(1_000_000)
    (4, 6, 7)
    """
    return MIN_REPEATS + max(0, math.ceil(math.log2(max(n, 1) / 20_000) / 2))


def regular_spacing(off: Bool) -> int:
    """After how many places the True ones come back, 0 where they do not.

    >>> regular_spacing(np.array([0, 0, 1, 0, 0, 1, 0, 0, 1, 0], bool))
    3
    >>> regular_spacing(np.array([0, 1, 0, 0, 0, 1, 0, 1, 0, 0], bool))
    0
    """
    at = np.flatnonzero(off)
    for apart in range(1, min(len(at), _SPACINGS)):
        spacing = int(np.median(at[apart:] - at[:-apart]))
        if spacing < 2:
            continue
        ahead, behind = at + spacing, at - spacing
        ahead, behind = ahead[ahead < len(off)], behind[behind >= 0]
        if len(ahead) * 2 < len(at):
            break  # the rest of the trace could not show it
        if float(np.concatenate((off[ahead], off[behind])).mean()) >= REGULAR:
            return spacing
    return 0


def _compare(tokens: Int64, marks: Int64, alike: Bool) -> tuple[Int64, float]:
    """The typical repeat, and how far the repeats that are alike in length agree with it."""
    rows = np.flatnonzero(alike)
    repeats: dict[bytes, int] = {}
    for k in rows.tolist():
        text = tokens[marks[k] : marks[k + 1]].tobytes()
        repeats[text] = repeats.get(text, 0) + 1
    typical = max(repeats, key=lambda text: repeats[text])
    if repeats[typical] == 1:
        middle = int(rows[len(rows) // 2])
        typical = tokens[marks[middle] : marks[middle + 1]].tobytes()
    template = np.frombuffer(typical, tokens.dtype)
    others = [text for text in repeats if text != typical]
    chosen = others[:: max(1, -(-len(others) // _COMPARED))]
    # The typical repeat's likeness to itself is no evidence; that of its twins is.
    weight = repeats[typical] - 1
    total = float(weight)
    places = Places(template[:_LONG])
    for done, text in enumerate(chosen):
        if done == 3 and total < _HOPELESS * weight:
            break
        count = repeats[text]
        total += count * places.share(np.frombuffer(text, tokens.dtype)[:_LONG])
        weight += count
    return template, total / max(weight, 1)


class Places:
    """One sequence, ready to be compared with many: longest common subsequence, bit-parallel."""

    def __init__(self, sequence: Int64) -> None:
        self.length = len(sequence)
        self._masks: dict[int, int] = {}
        for k, token in enumerate(sequence.tolist()):
            self._masks[token] = self._masks.get(token, 0) | 1 << k

    def common(self, other: Int64) -> int:
        """Length of the longest common subsequence (Hyyrö's bit vector)."""
        full = (1 << self.length) - 1
        vector = full
        for token in other.tolist():
            hit = vector & self._masks.get(token, 0)
            vector = ((vector + hit) | (vector - hit)) & full
        return self.length - vector.bit_count()

    def share(self, other: Int64) -> float:
        """Common part of the longer of the two, 0 to 1."""
        return self.common(other) / max(self.length, len(other), 1)
