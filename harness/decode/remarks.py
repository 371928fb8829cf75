"""What is said of a run of a strategy."""

from __future__ import annotations

from ..analysis.model.remark import Warned


class EndedInWindow(Warned):
    """Generation ended inside the window: fewer steps were recorded than asked for.

    `--eos-id -1` generates to the end.
    """

    code = "ended-in-window"
