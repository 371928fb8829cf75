"""An exact test by rearranging signs: its false-alarm rate is what it says, for any distribution.

It is two-sided and counts arrangements at least as extreme as the one seen. With few values every
arrangement is counted; with many, `DRAWS` random ones, the one seen among them, which keeps the
rate exact.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]

DRAWS = 9999
_EXACT = 20_000
"""Up to this many arrangements are all counted."""
_SLACK = 1e-9
"""Sums of ranks are multiples of 1/2; anything closer than this is a tie."""


def midranks(values: Float) -> Float:
    """Ranks 1..n, ties sharing their mean rank. Shape of `values`.

    >>> midranks(np.array([3.0, 1.0, 3.0])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    mean = last - (count - 1) / 2
    return np.asarray(mean[place], np.float64)


def signed_rank_p(differences: Float, *, seed: int = 0) -> float:
    """Two-sided p that differences of pairs are symmetric about 0 (Wilcoxon's signed ranks).

    Shape (n,). Zeros count for nothing. The smallest p that n pairs can give is 2 / 2**n: with 6
    pairs it is 0.031, with 5 it is 0.0625.

    >>> signed_rank_p(np.array([1.0, 2, 3, 4, 5, 6]))
    0.03125
    """
    kept = differences[differences != 0]
    n = len(kept)
    if n == 0:
        return 1.0
    ranks = midranks(np.abs(kept))
    seen = abs((ranks * np.sign(kept)).sum())
    if 2**n <= _EXACT:
        signs = 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
        return float((np.abs(signs @ ranks) >= seen - _SLACK).mean())
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], size=(DRAWS, n))
    return float((1 + (np.abs(signs @ ranks) >= seen - _SLACK).sum()) / (1 + DRAWS))
