"""`harness export`: a trace and its gaps for other programs."""

from __future__ import annotations

from typing import Any

import click

from ._output_options import force_option, talk_options
from ._paths import ANY, PathName, all_traces
from ._trace_options import trace_options, window_option


@click.command("export", short_help="Gaps, steps and causes for Perfetto, pandas and others.")
@click.argument(
    "traces", nargs=-1, required=True, metavar="TRACE...", type=ANY, callback=all_traces
)
@click.option(
    "--to",
    type=click.Choice(["perfetto", "csv", "parquet"]),
    help="Format. Default: by the ending of -o (.json is perfetto).",
)
@click.option(
    "--rows",
    type=click.Choice(["gaps", "steps"]),
    help="What csv and parquet hold one row for. Default: gaps.",
)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    metavar="FILE",
    help="Where to write; a further .gz packs it. Without it, csv and perfetto go to stdout.",
)
@force_option
@window_option
@trace_options()
@talk_options
def command(**asked: Any) -> None:
    """Write gaps, steps and causes in another program's format.

    `perfetto` is a timeline of one trace for ui.perfetto.dev and chrome://tracing, with gaps,
    causes and steps on tracks of their own. `csv` and `parquet` are one row a gap, or a step. Of a
    folder, all traces in it.

    \b
    Examples:
      harness export run.sqlite --to perfetto -o run.json
      harness export traces/*.sqlite --to parquet --rows steps -o steps.parquet
      harness export run.sqlite --to csv | head
    """
    from ..exporting import run_export

    run_export(**asked)
