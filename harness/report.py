"""What `harness report` does: analyse traces and write one page."""

from __future__ import annotations

from pathlib import Path

import click

from .analysis.model.memory import reuse_freed_memory
from .analysis.reports.base import Terminal, reporters
from .errors import UsageError
from .files import refuse_existing, write_text
from .gaps import GapsRequest, check_labels, failed
from .run.many_traces import collect


def run_report(request: GapsRequest) -> None:
    """Write the page. Raises HarnessError where it could not be written or a trace failed."""
    check_labels(request)
    output = Path(request.output or "report.html")
    if output.suffix.lower() not in reporters()["html"].suffixes:
        raise UsageError(f"{output}: a report is a web page", remedy="let its name end in .html")
    refuse_existing(output, force=request.force, inputs=request.traces)
    reuse_freed_memory()
    report = collect(request)
    if not report.traces:
        raise failed(request, report.failures)
    page = reporters()["html"].render(report, Terminal())
    write_text(output, page, force=request.force)
    size = output.stat().st_size / 1e6
    click.echo(f"{output} ({size:.2f} MB): open it in a browser; it needs no network", err=True)
    if report.failures:
        raise failed(request, report.failures)
