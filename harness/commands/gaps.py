"""`harness gaps`: why the GPU idles between steps, from recorded traces."""

from __future__ import annotations

from typing import Any

import click

from ._output_options import force_option, format_by_ending, talk_options
from ._paths import ANY, PathName, all_traces
from ._trace_options import Memory, edge_options, gains_option, label_option, trace_options


@click.command("gaps", short_help="Why the GPU idles between steps, from recorded traces.")
@click.argument(
    "traces", nargs=-1, required=True, metavar="TRACE...", type=ANY, callback=all_traces
)
@trace_options()
@edge_options
@click.option(
    "--by",
    type=click.Choice(["step", "cause", "strategy", "stream", "rank"]),
    help="Break the figures down.",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="N",
    help="The N longest gaps of each GPU, with the operations around them.",
)
@click.option(
    "--definitions", is_flag=True, help="The same traces under other people's definitions of idle."
)
@click.option(
    "--comm",
    multiple=True,
    metavar="GLOB",
    help="Kernels that are collectives, besides those that are known: '*my_all_reduce*'.",
)
@click.option(
    "--tables",
    type=click.Choice(["one", "all"]),
    default="one",
    show_default=True,
    help="Show the table that the answer goes with, or every table.",
)
@gains_option
@click.option("--plot", is_flag=True, help="Draw bars, idle time by step, and one step's timeline.")
@label_option
@format_by_ending
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    help="Write to a file instead; its ending picks the format.",
)
@force_option
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=None,
    metavar="N",
    help="Processes that share many traces. Default: one a core.",
)
@click.option(
    "--dask",
    metavar="ADDRESS",
    help="A Dask scheduler whose workers read and analyse the traces: tcp://host:8786.",
)
@click.option(
    "--memory",
    type=Memory(),
    metavar="SIZE",
    help="Take no more memory than this: 2GB, 512MB. Default: half of what is free.",
)
@click.option("--no-cache", is_flag=True, help="Keep nothing of the trace for a second look.")
@talk_options
def command(**asked: Any) -> None:
    """Say how long the GPU idles between steps, and what it waited for.

    TRACE is an export of Nsight Systems (`nsys export --type sqlite`, parquetdir or arrowdir), a
    .nsys-rep report (exported first, into a cache), a trace recorded by `harness profile`, or
    torch.profiler's trace.json or trace.json.gz; or a folder of these.

    \b
    Examples:
      harness gaps traces/*.sqlite
      harness gaps run.sqlite --tables all
      harness gaps run.sqlite --step 'Step *' --by cause
      harness gaps run.sqlite --step-regex '^train_step' --top 5
      harness gaps run-rank*.sqlite --by rank
      harness gaps run-rank*.sqlite --by rank --comm '*my_all_reduce*'
      harness gaps run.nsys-rep --start 1.2s --end 1.9s --definitions
      harness gaps trace.json.gz --infer-steps
      harness gaps traces/*.sqlite --format json -o gaps.json
      harness gaps huge.sqlite --memory 2GB
    """
    from ..gaps import run_gaps

    run_gaps(**asked)
