"""A trace analysed without its recorder, where its manifest proves what it is then."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from .bare.blocks import NOT_MEASURED, NoBlocks, read_blocks
from .bare.estimate import estimate
from .bare.result import AsRecorded
from .model.trace import Trace
from .question import Question
from .readers.range_cpu import know_range_cpu, noted_in
from .report import TraceReport

if TYPE_CHECKING:
    from .bare.take_out import BareTimes

ASKED = "--as-recorded asks for it"
IN_PARTS = "a trace that is read in parts is analysed as it was recorded"
UNSAID = frozenset({NOT_MEASURED, ASKED})
"""Reasons that a user knows, or that most traces have: nothing more was to be expected."""


def without_recorder(
    trace: Trace, question: Question, analyzed: Callable[[Trace, Question], TraceReport]
) -> TraceReport:
    """The report of the bare timeline, its verdicts those of the trace as recorded; without a proof
    that of the trace, with the reason."""
    why = why_as_recorded(trace.source.manifest, question, in_parts=False)
    if why:
        return _as_recorded(trace, question, analyzed, why)
    from .bare.proof import prove

    proof = prove(trace)
    if isinstance(proof, AsRecorded):
        return _as_recorded(trace, question, analyzed, proof.reason)
    recorded = analyzed(trace, replace(question, gains=False, definitions=False, top=0))
    noted = noted_in(trace)
    if noted is not None:
        know_range_cpu(proof.trace, proof.times.cpu(noted))
    report = analyzed(proof.trace, _moved(question, proof.times))
    steps = {
        (one.pattern, one.pid, one.tid, one.device): one.steady.period_ns
        for one in recorded.series
        if one.steady is not None
    }
    return replace(
        report,
        bare=proof.bare,
        verdicts=recorded.verdicts,
        recorded_ns=tuple(
            steps.get((one.pattern, one.pid, one.tid, one.device)) for one in report.series
        ),
    )


def _as_recorded(
    trace: Trace, question: Question, analyzed: Callable[[Trace, Question], TraceReport], why: str
) -> TraceReport:
    guess = estimate(trace) if question.gains else None
    return replace(analyzed(trace, question), as_recorded=why, estimate=guess)


def why_as_recorded(
    manifest: Mapping[str, Any], question: Question, *, in_parts: bool = True
) -> str:
    """Why nobody needs to look for a proof; empty where there may be one."""
    blocks = read_blocks(manifest)
    if isinstance(blocks, NoBlocks):
        return blocks.reason
    if question.as_recorded:
        return ASKED
    return IN_PARTS if in_parts else ""


def _moved(question: Question, times: BareTimes) -> Question:
    """The same question: the edges that the user names are moments of the recording."""
    import numpy as np

    edges = {
        name: int(times.of_thread(np.array([-1]), np.array([moment]))[0])
        for name, moment in (("start", question.start), ("end", question.end))
        if moment is not None
    }
    return replace(question, **edges)
