"""What a mutator is, and the values that readers like least."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from random import Random
from typing import Generic, TypeVar

Subject = TypeVar("Subject")


@dataclass(frozen=True)
class Mutator(Generic[Subject]):
    """One way to change a `Subject` in place, or to give another one back.

    `unseen`: a change that must not matter; every figure has to stay what it was.
    """

    name: str
    apply: Callable[[Subject, Random], Subject | None]
    unseen: bool = False


def named(
    functions: Iterable[Callable[[Subject, Random], Subject | None]], *, unseen: bool = False
) -> dict[str, Mutator[Subject]]:
    """Mutators by the names of their functions."""
    return {f.__name__: Mutator(f.__name__, f, unseen) for f in functions}


EDGES = (
    0, 1, -1, 2, 127, 128, 255, 256, 2**15, 2**16, 2**24, 2**31 - 1, 2**31, -(2**31), 2**32,
    2**53 + 1, 2**60 - 1, 2**60, -(2**60), 2**61, 2**62, 2**63 - 1, -(2**63) + 1, -(2**63),
)  # fmt: skip
"""Integers at which a width, a sign or a stand-in changes; all fit 64 bits."""

TEXTS = (
    "", " ", "\x00", "Step 3", "Step 3\x00", "Step 99999999999999999999", "Step -1", "a\nb\r\n\tc",
    "\x1b[31mred\x1b[0m", "\u202eright to left", "\ufeff", "\U0001f600" * 40, "é" * 300, "'\";--",
    "</script><script>alert(1)</script>", "{{ 7 * 7 }}", "%s%n{0}", "../../etc/passwd", "NaN",
    "=1+1", "nccl", "x" * 20_000, "1" * 5000, "Step " + "9" * 5000,
)  # fmt: skip
"""Names that break terminals, spreadsheets, pages, numbers and paths."""


def some(random: Random, count: int) -> list[int]:
    """A few of `count` positions, one in three times all of them."""
    if count == 0:
        return []
    if random.random() < 1 / 3:
        return list(range(count))
    return sorted({random.randrange(count) for _ in range(random.choice((1, 1, 2, 5, 20)))})
