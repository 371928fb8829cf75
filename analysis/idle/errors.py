"""Why steps, devices or windows that were asked for cannot be looked at."""

from __future__ import annotations

from ..model.errors import TraceError


class NoSuchStep(TraceError):
    """The trace has no step of that number.

    `--steps A:B` and `--step N` go by the number in the name of the range, not by its place. The
    numbers that there are follow.
    """

    code = "no-such-step"
