"""Whose times of the host a prediction goes by, in a sentence."""

from __future__ import annotations

from ..report import TraceReport


def host_times(report: TraceReport) -> str:
    """With the recorder, or without."""
    if report.bare is not None:
        return "The host's times are those without the recorder, as steps beside it prove."
    return "The host's times are as recorded, with whatever the profiler added to them."
