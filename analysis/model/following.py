"""Does what a thread did follow the ends of copies? Whether a series of silences proves a wait.

A host that works for itself falls silent for as long as its work takes: whether a copy ended
early or late says nothing of it. One that waits goes on just after each copy, and is silent longer
by what the copy took longer.
"""

from __future__ import annotations

import numpy as np

from .arrays import Bool
from .intervals import Int64

LEAST = 12
"""Copies that make a series."""
SHARE = 0.9
"""Of the copies of a place, those that must have been waited for."""
EARLY = 2_000
"""Before the end of its copy, ns, a wait may seem to end: clocks are that exact."""
USUAL, USUAL_SHARE = 20_000, 0.2
"""After the end of the copy the next call comes: half of all within so many ns or within this share
of the time that was waited, whichever is longer (Python takes some 50 us to launch again),"""
LATEST, LATEST_SHARE = 40_000, 0.5
"""and all within these."""
CORRELATED = 0.9
MUCH = 4
"""So many times as much as the delays the silences must differ."""
RHYTHM = 8
"""Silences after which a loop may do the same again."""
LEANING = 0.02
"""Share of what a copy takes longer by which its delay may grow: work that fills as many times as
the GPU's, say a batch's, seldom takes just as long."""
TELLING = 2_000
"""Spread of the silences below which nothing can be told, ns."""


def enough(count: int, of: int) -> bool:
    """Whether so many copies of all those of a place can stand for it."""
    return count >= LEAST and count >= SHARE * of


def follows(awaited: Int64, silent: Int64) -> bool:
    """Whether silences last until their copies end, and no longer.

    `awaited`: from the begin of each silence to the end of its copy, ns, in the order of the
    silences; `silent`: how long each was. Looked at is what changes from one to the next, and to
    those after it: that both grow as the loop goes on, or swing in one rhythm, is no wait.
    """
    usual = max(USUAL, USUAL_SHARE * float(np.median(awaited)))
    if float(np.median(silent - awaited)) > usual:
        return False
    apart = range(1, min(RHYTHM, len(silent) // 3) + 1)
    return all(_go_together(awaited[k:] - awaited[:-k], silent[k:] - silent[:-k]) for k in apart)


def _go_together(awaited: Int64, silent: Int64) -> bool:
    """The same of their changes."""
    spread = _spread(silent)
    if spread < TELLING or MUCH * _spread(silent - awaited) > spread:
        return False
    if _leans(awaited, silent - awaited):
        return False
    return _correlation(awaited, silent) >= CORRELATED


def _leans(awaited: Int64, delay: Int64) -> bool:
    """Whether delays grow or shrink with what was waited for, by more than chance."""
    a, b = awaited - awaited.mean(), delay - delay.mean()
    power = float(a @ a)
    slope = float(a @ b) / power
    rest = b - slope * a
    error = float(np.sqrt((rest @ rest) / max(len(a) - 2, 1) / power))
    return abs(slope) > max(LEANING, 3 * error)


def in_time(awaited: Int64, silent: Int64) -> Bool:
    """Silences that a copy ended in, and that ended soon after it."""
    delay = silent - awaited
    latest = np.maximum(LATEST, LATEST_SHARE * awaited)
    timely: Bool = (awaited > 0) & (delay >= -EARLY) & (delay <= latest)
    return timely


def _spread(values: Int64) -> float:
    """Median absolute deviation: a few large values do not count."""
    return float(np.median(np.abs(values - np.median(values))))


def _correlation(one: Int64, other: Int64) -> float:
    a, b = one - one.mean(), other - other.mean()
    of = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / of if of else 0.0
