"""Slow launches."""

from __future__ import annotations

from ...gains.ladder import Rung
from .base import Kind


def _fits(rung: Rung) -> bool:
    return rung.change == "slow-launches"


KIND = Kind(
    "slow-launches",
    "slow launches",
    (
        "Some launches (`{call}` in `{where}`, {count}) take over 20 times as long as the "
        "others, **{spent}** a step."
    ),
    (
        "A kernel's first launch loads its code: run every kernel once before the loop. "
        "Else look for what else the driver was doing then."
    ),
    "launch",
    _fits,
)
