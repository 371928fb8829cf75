"""What `harness report` does: analyse traces and write one page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec.structs import replace

from . import talk
from .analysis.model.memory import reuse_freed_memory
from .analysis.reports.base import Terminal, reporters
from .errors.options import UnknownEnding
from .files import refuse_existing, write_text
from .gaps import check_labels, failed
from .question import Means, Question
from .run.many_traces import collect


def run_report(
    traces: Sequence[str],
    question: Question,
    means: Means,
    *,
    output: str | Path,
    labels: Sequence[str] = (),
    force: bool = False,
) -> None:
    """Write the page. Raises HarnessError where it could not be written or a trace failed."""
    check_labels(traces, labels)
    output = Path(output)
    if output.suffix.lower() not in reporters()["html"].suffixes:
        raise UnknownEnding(f"{output}: a report is a web page", remedy="let its name end in .html")
    refuse_existing(output, force=force, inputs=traces)
    reuse_freed_memory()
    report = collect(traces, question, replace(means, rows=True), labels)
    if not report.traces:
        raise failed(len(traces), report.failures)
    page = reporters()["html"].render(report, Terminal())
    write_text(output, page, force=force)
    size = output.stat().st_size / 1e6
    talk.say(f"{output} ({size:.2f} MB): open it in a browser; it needs no network")
    if report.failures:
        raise failed(len(traces), report.failures)
