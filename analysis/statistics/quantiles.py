"""Summaries of samples."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from msgspec import Struct

from ..model.intervals import Int64

QUANTILES = (0.5, 0.95, 0.99)


class Quantiles(Struct, frozen=True):
    """Order statistics of durations, ns; quantiles interpolate linearly, as pandas does."""

    count: int
    sum_ns: int
    mean_ns: float
    min_ns: int
    p50_ns: float
    p95_ns: float
    p99_ns: float
    max_ns: int

    @classmethod
    def of(cls, values: Int64) -> Quantiles | None:
        """None for an empty sample: there is no honest number to show."""
        if len(values) == 0:
            return None
        p50, p95, p99 = np.quantile(values, QUANTILES).tolist()
        total = int(values.sum())
        return cls(
            count=len(values),
            sum_ns=total,
            mean_ns=total / len(values),
            min_ns=int(values.min()),
            p50_ns=p50,
            p95_ns=p95,
            p99_ns=p99,
            max_ns=int(values.max()),
        )

    @classmethod
    def of_ranks(
        cls, count: int, total: int, at: Callable[[list[int]], dict[int, int]]
    ) -> Quantiles:
        """The same of a sample that nobody holds: its size, its sum, and a function that gives the
        values at some positions of the sorted sample."""
        places = [(count - 1) * q for q in QUANTILES]
        low = [math.floor(place) for place in places]
        values = at(sorted({0, count - 1, *low, *(min(k + 1, count - 1) for k in low)}))
        found = []
        for place, k in zip(places, low, strict=True):
            # As numpy does, which counts from the nearer of the two neighbours.
            a, b, t = values[k], values[min(k + 1, count - 1)], place - k
            found.append(b - (b - a) * (1 - t) if t >= 0.5 else a + (b - a) * t)
        p50, p95, p99 = found
        return cls(count, total, total / count, values[0], p50, p95, p99, values[count - 1])
