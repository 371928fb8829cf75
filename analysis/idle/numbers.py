"""What the numbers of steps tell: how many steps a trace lacks, and after which ones."""

from __future__ import annotations

import re

import numpy as np

from ..model.arrays import factorize
from ..model.intervals import Int64

COUNTED = 0.5
"""Share of the steps that must be followed by the next number for numbers to count steps."""


_TRAILING = re.compile(r"(\d{1,18})\D*$")


def trailing_number(name: str) -> int:
    """The integer that a name ends with, -1 for none.

    >>> trailing_number("Step 10 to 20 (again)")
    20
    """
    found = _TRAILING.search(name[-64:])
    return int(found.group(1)) if found else -1


def missing_after(number: Int64) -> Int64:
    """How many numbers are skipped after each step; shape of `number`, in host order.

    Numbers count steps where they ascend and most go up by one amount; else nothing is missing.

    >>> missing_after(np.array([3, 4, 5, 6, 13, 14])).tolist()
    [0, 0, 0, 6, 0, 0]
    >>> missing_after(np.array([10, 20, 30, 50])).tolist()
    [0, 0, 1, 0]
    >>> missing_after(np.array([512, 498, 733, 731])).tolist()  # a loss, and no number
    [0, 0, 0, 0]
    """
    found = np.zeros(len(number), np.int64)
    step = np.diff(number)
    if len(step) == 0 or int(step.min()) <= 0:
        return found
    codes, amounts = factorize(step)
    count = np.bincount(codes)
    usual = int(np.argmax(count))  # of equally common ones the smallest
    if count[usual] < COUNTED * len(step):
        return found
    found[:-1] = np.maximum(step // amounts[usual] - 1, 0)
    return found
