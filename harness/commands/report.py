"""`harness report`: one web page that shows what `harness gaps` says."""

from __future__ import annotations

from typing import Any

import click

from ._output_options import force_option, talk_options
from ._paths import ANY, PathName, all_traces
from ._trace_options import edge_options, label_option, trace_options


@click.command("report", short_help="One web page with verdict, charts and timelines.")
@click.argument(
    "traces", nargs=-1, required=True, metavar="TRACE...", type=ANY, callback=all_traces
)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    default="report.html",
    show_default=True,
    metavar="FILE",
    help="Where to write the page.",
)
@force_option
@edge_options
@label_option
@trace_options()
@talk_options
def command(**asked: Any) -> None:
    """Write one web page that opens offline: the verdict first, then charts and timelines.

    Of a folder, all traces in it. The page loads nothing, holds no command line and no environment,
    and can be passed on.

    \b
    Examples:
      harness report traces/*.sqlite -o report.html
      harness report run.nsys-rep --step 'Step *' --force
    """
    from ..report import run_report

    run_report(**asked)
