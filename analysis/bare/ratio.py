"""How many times as long a step is with the recorder: by blocks that stand beside each other."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from ..statistics.interval import CONFIDENCE, Float, Interval
from ..statistics.t_distribution import half_width

EVEN = 0.02
"""Share by which a block's neighbours may differ before it weighs less: two blocks of a quiet host
differ by about as much."""
DRAWS = 2000
ALIKE = 1 / 6
"""Correlation of two pairs that share a neighbour, where all blocks are as noisy: of one block's
variance each pair has 3/2, and 1/4 in common."""


class Pairs(Struct, frozen=True, eq=False):
    """Recorded blocks, each with the mean of its two neighbours without a recorder. Shapes (n,)."""

    bare: Float
    """Mean step, ns."""
    recorded: Float
    apart: Float
    """By how much the two neighbours differ, as a difference of logarithms."""
    shared: NDArray[np.bool_]
    """Is its first neighbour the second one of the pair before it?"""

    def __len__(self) -> int:
        return len(self.bare)

    def other(self, first: int) -> Pairs:
        """Every other one, from this one on: these share no neighbour."""
        bare, recorded, apart = (one[first::2] for one in (self.bare, self.recorded, self.apart))
        return Pairs(bare, recorded, apart, np.zeros(len(bare), np.bool_))


def ratio_of(pairs: Pairs) -> Interval:
    """At least one pair.

    The weighted mean of the logarithms, back from there. A host that changes its speed within a
    pair shows in the pair's two neighbours, and the pair weighs less for it; what the recorded
    block says has no part in that. The interval is a bootstrap of pairs, its percentiles moved
    outwards for small samples, and for neighbours that two pairs share. One pair alone has none:
    its ends are those of no knowledge.
    """
    logs, weight = np.log(pairs.recorded / pairs.bare), 1 / (EVEN**2 + pairs.apart**2 / 4)
    n = len(logs)
    middle = float(np.average(logs, weights=weight))
    if n < 2:
        return Interval(math.exp(middle), 0.0, math.inf, CONFIDENCE, "one pair")
    drawn = np.random.default_rng(0).integers(0, n, (DRAWS, n))
    means = (logs * weight)[drawn].sum(axis=1) / weight[drawn].sum(axis=1)
    tail = NormalDist().cdf(-math.sqrt(n / (n - 1)) * half_width(CONFIDENCE, n - 1))
    both = (weight[1:] * weight[:-1])[pairs.shared[1:]].sum() / (weight**2).sum()
    ends = np.quantile(means, [tail, 1 - tail]) - middle
    low, high = np.exp(middle + math.sqrt(1 + 2 * ALIKE * both) * ends).tolist()
    return Interval(math.exp(middle), low, high, CONFIDENCE, "bootstrap of pairs")
