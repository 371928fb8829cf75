"""Every figure of a report, as the reporters give it."""

from __future__ import annotations

from msgspec.structs import replace

from harness.analysis.question import Question
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Report
from harness.analysis.reports.json import document

TOP = 5


def in_detail(question: Question) -> Question:
    """The same with every detail."""
    return replace(question, by="stream", top=TOP, definitions=True)


def figures(report: TraceReport) -> dict:
    """The JSON documents of every view in one; the order of the keys counts.

    What the recorder may have cost is estimated of a trace in memory alone.
    """
    report = replace(report, estimate=None, as_recorded="")
    found: dict = {}
    for by in ("step", "cause", "stream"):
        question = Question(by=by, top=0 if by == "step" else TOP, definitions=True)
        found |= document(Report((report,), (), question))
    return found


def ordered(value: object) -> object:
    """The same with mappings as lists, so that == minds their order."""
    if isinstance(value, dict):
        return [(key, ordered(inner)) for key, inner in value.items()]
    if isinstance(value, list | tuple):
        return [ordered(inner) for inner in value]
    return value
