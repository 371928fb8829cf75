"""What `--fail-above` decides: what got worse by more than the limit, and what nobody can say."""

from __future__ import annotations

from msgspec import Struct

from .comparison import Comparison
from .verdict import Ratio


class Gate(Struct, frozen=True):
    """The gated figures that fail, those that cannot be judged, and the runs of both sides where
    they are too few to judge any, else None.

    A figure cannot be judged where it is not known how much runs differ, and it got worse by more
    than the limit, or its interval reaches so far.
    """

    limit: float
    regressions: tuple[Ratio, ...]
    unjudged: tuple[Ratio, ...]
    few: tuple[int, int] | None


def gate(found: Comparison, limit: float) -> Gate:
    """Judge a comparison: `limit` is the share by which a figure may be worse (0.05: 5%)."""
    gated = [ratio for ratio in found.ratios if ratio.gate and ratio.better]
    return Gate(
        limit,
        tuple(r for r in gated if r.verdict == "worse" and r.loss > limit),
        tuple(r for r in gated if not r.spread_known and _may_fail(r, limit)),
        next((r.runs for r in gated if not r.spread_known), None),
    )


def _may_fail(ratio: Ratio, limit: float) -> bool:
    if ratio.loss <= 0:
        return False
    if ratio.ratio is None:
        return ratio.matters
    # Less than the least effect that counts fails no gate, however low the limit.
    return ratio.most > limit and ratio.most >= ratio.least
