"""Where in a repeating stretch a step begins: a loop has no seam of its own, so ask what tells.

Witnesses, each for one place of the period:
- the host waited for the GPU there, for anything but an upload (a stop check, `loss.item()`);
- the loop begins there, after operations that are none of it; a loop begins at its top;
- the loop ends there, before operations that are none of it; it may also be left in the middle;
- the recording begins and ends there both, as one does that was cut at steps;
- an upload (host to device) begins there: the next batch;
- the longest time without a launch lies there.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np
from msgspec import Struct

from ...model.arrays import Bool
from ...model.intervals import Int64
from .period import AGREEMENT, ALIKE, SAME, Loop, Places

_OFTEN = 0.5
_SOMETIMES = 0.1
"""Share of the repeats in which the host must have waited at a place (a loss every tenth step)."""
_MOSTLY = 0.6
_LOOKS_LIKE_THE_LOOP = 0.5
_A_REPEAT = 0.75
"""Share of a stretch's operations that it must have in common with the middle repeat."""
_NO_COINCIDENCE = 32
"""Operations in a period from which a recording rarely ends where it began by chance."""


class Witness(Struct, frozen=True):
    """One reason for one place."""

    place: int
    """Operations after the mark."""
    weight: float
    kind: str
    text: str


class Sequence(Struct, frozen=True):
    """Operations in the order in which they were launched. Arrays have shape (n,)."""

    tokens: Int64
    launch: Int64
    """When the launching call began, ns."""
    quiet: Int64
    """Host time since the call before, or since the wait before, ns."""
    waits: Int64
    """Shape (waits,): operations that were the first to be launched after the host had waited."""
    uploads: Int64
    """Shape (uploads,): first operation of each run of host-to-device copies."""


class Phase(Struct, frozen=True):
    """The place of the period at which steps begin, and why."""

    place: int
    witnesses: tuple[Witness, ...]
    """For this place, strongest first; empty where nothing tells."""
    share: float
    """Their part of the weight of all witnesses, 0 to 1: how far they agree."""
    marked: bool
    """Something tells this loop from the layers inside a step: the host waits in a repeat, the
    recording was cut at repeats, or a smaller loop runs inside each. An upload does not: blocks of
    a model upload their weights."""
    doubtful: bool
    """Only a smaller loop tells, and experts repeat inside a layer too."""
    seldom: bool
    """The host waits in fewer than half of the repeats, as behind turns of an inner loop."""


def find_phase(sequence: Sequence, loop: Loop) -> Phase:
    """Weigh the witnesses; the place with the most weight wins, an earlier kind breaks a tie."""
    waits = _recurring(sequence.waits, loop, _SOMETIMES)
    uploads = _recurring(sequence.uploads, loop, _OFTEN)
    aligned = _aligned(sequence.tokens, loop)
    found = [
        *_waits(waits, sequence, loop),
        *_edges(sequence.tokens, loop, aligned),
        *_uploads(uploads),
    ]
    longest = _longest_quiet(sequence, loop)
    if len(waits) < 2 and longest is not None:
        found.append(Witness(longest, 0.5, "quiet", "the longest time between launches lies there"))
    cut = aligned and loop.period >= _NO_COINCIDENCE
    marked = bool(waits or cut or loop.inner)
    doubtful = not waits and not cut
    seldom = bool(waits) and waits[0][1] < _OFTEN
    if not found:
        return Phase(0, (), 0.0, marked, doubtful, seldom)
    total: dict[int, float] = {}
    for witness in found:
        place = witness.place % loop.period
        total[place] = total.get(place, 0.0) + witness.weight
    best = max(total, key=lambda place: total[place])  # the first of equals: waits before others
    kept = [w for w in found if w.place % loop.period == best]
    share = total[best] / sum(total.values())
    return Phase(
        best, tuple(sorted(kept, key=lambda w: -w.weight)), share, marked, doubtful, seldom
    )


def _waits(waits: list[tuple[int, float]], sequence: Sequence, loop: Loop) -> list[Witness]:
    found = [
        Witness(
            place,
            1.5 if share >= _OFTEN else 1.0,
            "wait",
            f"the host had waited for the GPU ({share:.0%} of the repeats)",
        )
        for place, share in waits
    ]
    if len(waits) > 1:
        # Of several waits, the one after which the host has most to do before it launches again.
        place = max((place for place, _ in waits), key=lambda at: _quiet_at(sequence, loop, at))
        found.append(Witness(place, 0.5, "quiet", "no other wait is as long without a launch"))
    return found


def _edges(tokens: Int64, loop: Loop, aligned: bool) -> list[Witness]:
    if aligned:
        weight = 4.0 if loop.period >= _NO_COINCIDENCE else 1.0
        text = "the recording begins and ends there"
        return [Witness(_place(0, loop), weight, "recording", text)]
    n = len(tokens)
    first, last = _extent(tokens, loop)
    # Fewer foreign operations than repeats differ in anyway are no sign of another phase.
    usual = 2 * (1 - loop.agreement) * loop.period
    found = []
    if first > usual and not _like_the_loop(tokens, first, loop):
        text = f"the loop begins there, after {first} others"
        found.append(Witness(_place(first, loop), 2.5, "begin", text))
    if n - last > usual:
        text = f"the loop ends there, before {n - last} others"
        found.append(Witness(_place(last, loop), 1.0, "end", text))
    return found


def _uploads(uploads: list[tuple[int, float]]) -> list[Witness]:
    if len(uploads) != 1:  # several in a repeat are weights or activations, no batch
        return []
    place, share = uploads[0]
    text = f"a host-to-device copy begins there ({share:.0%} of the repeats)"
    return [Witness(place, 1.0, "upload", text)]


def boundaries(sequence: Sequence, loop: Loop, phase: Phase) -> Int64:
    """Where steps begin and the last one ends, ascending places in the sequence.

    Where a wait or an upload is the witness, each step begins right there, even where an operation
    more or less stands before it; otherwise at the phase's place. Whole repeats outside the first
    and last mark are taken in where they agree with the others.
    """
    tokens, period = sequence.tokens, loop.period
    n = len(tokens)
    guide = loop.marks + phase.place
    events = {"wait": sequence.waits, "upload": sequence.uploads}
    for kind in (w.kind for w in phase.witnesses if w.kind in events):
        guide = _nearest(events[kind], guide, max(1, int(ALIKE * period / 2)))
        break
    starts = [int(g) for g in np.unique(guide) if 0 <= g <= n]
    known = {
        tokens[lo:hi].tobytes(): hi - lo
        for lo, hi in pairwise(starts)
        if abs(hi - lo - period) <= ALIKE * period
    }
    # The typical repeat from this place on: of those between two boundaries, the middle one.
    middle = len(starts) // 2
    body = tokens[starts[middle - 1] : starts[middle]] if middle else loop.template
    places = Places(body)
    lengths = sorted({*known.values(), period}, reverse=True)
    whole_recording = any(w.kind == "recording" for w in phase.witnesses)

    def length_at(edge: int, step: int) -> int:
        """Operations of one more repeat that begins (step 1) or ends (-1) at `edge`, 0 for none."""
        room = n - edge if step > 0 else edge
        fits = [
            (edge, edge + size) if step > 0 else (edge - size, edge)
            for size in lengths
            if size <= room
        ]
        for lo, hi in fits:
            if tokens[lo:hi].tobytes() in known:
                return hi - lo
        if whole_recording and 0 < room <= (1 + ALIKE) * period:
            fits.insert(0, (edge, n) if step > 0 else (0, edge))
        for lo, hi in fits:
            if places.share(tokens[lo:hi]) >= AGREEMENT:
                return hi - lo
        return 0

    while starts and (size := length_at(starts[0], -1)):
        starts.insert(0, starts[0] - size)
    while starts and (size := length_at(starts[-1], 1)):
        starts.append(starts[-1] + size)
    return np.array(starts, np.int64)


def alike(tokens: Int64, edges: Int64, loop: Loop) -> Bool:
    """Which stretches between two boundaries are repeats of the loop, by length and by content.

    Shape (edges - 1,). A prefill may be as long as a step and is none: its kernels differ.
    """
    lengths = np.diff(edges)
    fits: Bool = np.abs(lengths - loop.period) <= ALIKE * loop.period
    rows = np.flatnonzero(fits)
    if len(rows) == 0:
        return fits
    middle = int(rows[len(rows) // 2])
    body = Places(tokens[edges[middle] : edges[middle + 1]])
    known: dict[bytes, bool] = {}
    for k in rows.tolist():
        part = tokens[edges[k] : edges[k + 1]]
        text = part.tobytes()
        if text not in known:
            known[text] = body.share(part) >= _A_REPEAT
        fits[k] = known[text]
    return fits


def _nearest(events: Int64, guide: Int64, reach: int) -> Int64:
    """Each of `guide`, or the event nearest to it where one is within reach."""
    if len(events) == 0:
        return guide
    at = np.searchsorted(events, guide)
    low, high = events[np.maximum(at - 1, 0)], events[np.minimum(at, len(events) - 1)]
    near = np.where(np.abs(low - guide) < np.abs(high - guide), low, high)
    return np.where(np.abs(near - guide) <= reach, near, guide)


def _extent(tokens: Int64, loop: Loop) -> tuple[int, int]:
    """The stretch that is the loop's, beyond the first and the last mark on either side.

    What lies there belongs to it wholly where it agrees with the typical repeat, else as far as it
    is the same operation by operation.
    """
    lo, hi = int(loop.marks[0]), int(loop.marks[-1])
    before, after = tokens[:lo][::-1], tokens[hi:]
    return (
        lo - _matching(before, loop.template[::-1], loop.agreement),
        hi + _matching(after, loop.template, loop.agreement),
    )


def _matching(found: Int64, body: Int64, agreement: float) -> int:
    """How many of `found`, from its start, are the loop's."""
    same = found == np.resize(body, len(found))
    if same.all():
        return len(found)
    # Whole repeats differ that much among themselves; a part of one may differ twice as much.
    allowed = 1 - 2 * (1 - agreement)
    if len(found) <= len(body) and Places(body[: len(found)]).share(found) >= allowed:
        return len(found)
    return int(np.argmin(same))


def _aligned(tokens: Int64, loop: Loop) -> bool:
    """Do the ends make up one repeat, to the operation, and look like one? Then the recording was
    cut at steps, whatever kernels the first and the last of them chose."""
    lo, hi = int(loop.marks[0]), len(tokens) - int(loop.marks[-1])
    gaps = np.diff(loop.marks)
    varies = int(np.abs(gaps[np.abs(gaps - loop.period) <= SAME * loop.period] - loop.period).max())
    if lo >= loop.period or hi > loop.period + varies:
        return False
    off = (lo + hi) % loop.period
    if min(off, loop.period - off) > varies:
        return False
    body = np.resize(loop.template, loop.period)
    return all(
        len(part) == 0 or Places(where).share(part) >= _LOOKS_LIKE_THE_LOOP
        for part, where in (
            (tokens[:lo], body[loop.period - lo :]),
            (tokens[len(tokens) - hi :], body[:hi]),
        )
    )


def _place(at: int, loop: Loop) -> int:
    """A place in the sequence as operations after a mark, 0 to period."""
    if at < loop.marks[0]:
        return int(at - loop.marks[0]) % loop.period
    mark = loop.marks[np.searchsorted(loop.marks, at, side="right") - 1]
    return int(at - mark) % loop.period


def _like_the_loop(tokens: Int64, first: int, loop: Loop) -> bool:
    """Is what comes before much the same as the loop's body? Then the loop began earlier.

    A prefill is the first turn of a decode loop with other matrix products: it ends with the same
    operations as every turn does, so the place where the sameness begins means nothing.
    """
    length = min(first, loop.period)
    body = np.roll(np.resize(loop.template, loop.period), -_place(first, loop))
    before = tokens[first - length : first]
    return Places(body[loop.period - length :]).share(before) >= _LOOKS_LIKE_THE_LOOP


def _recurring(events: Int64, loop: Loop, least: float) -> list[tuple[int, float]]:
    """(place, share of the repeats) of events that come back at one place, twice at least.

    Places are counted from the mark before or to the mark after, whichever varies less: an
    operation more or less somewhere in the repeat moves one of the two.
    """
    marks, period = loop.marks, loop.period
    repeats = len(marks) - 1
    cycle = np.searchsorted(marks, events, side="right") - 1
    inside = (cycle >= 0) & (cycle < repeats)
    events, cycle = events[inside], cycle[inside]
    if len(events) == 0:
        return []
    after = Counter((events - marks[cycle]).tolist())
    before = Counter((period - (marks[cycle + 1] - events)).tolist())
    best = max(after, before, key=lambda counted: max(counted.values()))
    return sorted(
        (
            (place % period, count / repeats)
            for place, count in best.items()
            if count >= 2 and count >= least * repeats
        ),
        key=lambda pair: -pair[1],
    )


def _quiet_at(sequence: Sequence, loop: Loop, place: int) -> float:
    """Median host time before the launch at one place of the repeats, ns."""
    at = loop.marks + place
    at = at[at < len(sequence.quiet)]
    return float(np.median(sequence.quiet[at])) if len(at) else 0.0


def _longest_quiet(sequence: Sequence, loop: Loop) -> int | None:
    places = [
        int(np.argmax(sequence.quiet[lo:hi])) % loop.period
        for lo, hi in zip(loop.marks[:-1].tolist(), loop.marks[1:].tolist(), strict=True)
    ]
    place, count = Counter(places).most_common(1)[0]
    return place if count >= _MOSTLY * len(places) else None
