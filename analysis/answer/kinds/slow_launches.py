"""Slow launches."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "slow-launches"


KIND = Kind(
    "slow-launches",
    "slow launches",
    "Some launches take over 20 times as long as the others.",
    (
        "A few launches (`{call}` in `{where}`, {count}) take over 20 times as long as the "
        "others, **{spent}** a step."
    ),
    (
        "Run every kernel once before the loop: a kernel's first launch loads its code. If they "
        "were run, look for what else the driver was doing then."
    ),
    "launch",
    _fits,
)
