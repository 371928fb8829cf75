"""Rows counted by a key, part by part."""

from __future__ import annotations

import numpy as np

from ...model.intervals import Int64

Counts = tuple[Int64, Int64]
"""(keys, sorted, and how many rows have each)."""


def added(known: Counts, keys: Int64) -> Counts:
    """The counts with those of some more rows."""
    found, counts = np.unique(keys, return_counts=True)
    if not len(known[0]):
        return found, counts
    both, place = np.unique(np.concatenate((known[0], found)), return_inverse=True)
    total = np.zeros(len(both), np.int64)
    np.add.at(total, place, np.concatenate((known[1], counts)))
    return both, total
