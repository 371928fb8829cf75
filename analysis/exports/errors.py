"""Why a trace cannot be exported."""

from __future__ import annotations

from ..model.errors import TraceError


class NothingToExport(TraceError):
    """The trace has no rows of the kind that was asked for.

    It has no gap, or no step. Ranges that are steps are named with `--step`.
    """

    code = "nothing-to-export"


class OneTraceOnly(TraceError):
    """A timeline holds one trace.

    The clocks of two recordings have nothing in common.
    """

    code = "one-trace-only"
    remedy = "export each by itself"
