"""`harness calibrate`: fit a GPU file's host and launch constants to a recorded trace."""

from __future__ import annotations

from typing import Any

import click

from ..options import strategy_option, workload_options
from ._output_options import force_option, format_printed, talk_options
from ._paths import ANY, PathName, one_trace


@click.command("calibrate")
@click.argument("trace", metavar="TRACE", type=ANY, callback=one_trace)
@click.option(
    "--gpu",
    metavar="NAME|FILE",
    help="The GPU file whose rates are kept. Default: by the name of the GPU in the trace.",
)
@click.option("-o", "--output", type=PathName(dir_okay=False), help="Write the GPU file (.toml).")
@click.option("--name", help="What the new file calls its GPU.")
@force_option
@format_printed("How the fit is shown.")
@strategy_option
@workload_options
@talk_options
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Fit host and launch constants to a recorded trace, and say how well they fit.

    What the host computes per operation can only be fitted where the workload is known: from the
    manifest beside TRACE, or from --strategy and the workload options. Of a folder, the newest
    trace is taken.

    \b
    Examples:
      harness calibrate traces/kv-cache.sqlite
      harness calibrate traces/kv-cache.sqlite -o my-machine.toml
      harness calibrate run.json.gz --strategy kv-cache --batch-size 1 -o my-machine.toml
      harness predict --gpu my-machine.toml --batch-size 1,16
    """
    from ..simgpu.cli import run_calibrate

    source = ctx.get_parameter_source("strategy")
    run_calibrate(values, workload_given=source is click.core.ParameterSource.COMMANDLINE)
