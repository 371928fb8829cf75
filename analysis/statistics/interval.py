"""An estimate with the interval around it."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Float = NDArray[np.float64]

CONFIDENCE = 0.95


class Interval(Struct, frozen=True):
    """An estimate and the interval around it, in the unit of the sample.

    `confidence` is what the interval has: less than asked for where there were too few values.
    """

    estimate: float
    low: float
    high: float
    confidence: float
    method: str
