"""`harness predict`: what a loop would take on a GPU, without running it there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import click

from ._output_options import format_by_ending, talk_options
from ._paths import ANY, PathName, one_trace
from ._trace_options import StepSlice, asks, recorded_option


def _number(context: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """A range lets `nan` pass, which no comparison holds against it."""
    if value is not None and math.isnan(value):
        raise click.BadParameter("nan is not a number.", context, param)
    return value


@click.command("predict")
@click.option(
    "--from",
    "trace",
    type=ANY,
    callback=one_trace,
    metavar="TRACE",
    help="Replay a recorded trace's own kernels and launches: the most trustworthy prediction. Of "
    "a folder, the newest.",
)
@click.option(
    "--gpu",
    "gpus",
    metavar="NAME|FILE[,...]",
    help="GPUs to predict for: l40s, h100, h200, a100, rtx4090, or .toml files of your own.",
)
@click.option(
    "--strategy",
    "strategies",
    metavar="NAME[,...]",
    help="Strategies; gains are against the first. Default: kv-cache and four faster ones.",
)
@click.option("--batch-size", "batch_sizes", metavar="N[,...]", help="Default: 1,4,16,64.")
@click.option("--model", metavar="NAME|PATH", help="Default: gpt2. Only its configuration is used.")
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]))
@click.option("--prompt-length", type=click.IntRange(min=1), metavar="N", help="Default: 16.")
@click.option("--max-new-tokens", type=click.IntRange(min=8), metavar="N", help="Default: 100.")
@click.option(
    "--traced-gpu", metavar="NAME|FILE", help="With --from: the GPU file of the recorded machine."
)
@click.option(
    "--step", "globs", multiple=True, metavar="GLOB", help="With --from: ranges that are steps."
)
@click.option("--step-regex", "regexes", multiple=True, metavar="REGEX", help="The same by regex.")
@click.option(
    "--infer-steps",
    "infer",
    is_flag=True,
    help="With --from: find the steps from the repeating launches.",
)
@click.option(
    "--steps", type=StepSlice(), metavar="A:B", help="With --from: only steps A up to, not with, B."
)
@click.option("--device", type=int, metavar="N", help="With --from: the GPU to look at.")
@recorded_option
@click.option(
    "--without",
    multiple=True,
    metavar="GLOB",
    help="With --from: no host time and no wait in the ranges that match.",
)
@click.option(
    "--scale-host",
    type=click.FloatRange(min=0, max=100),
    callback=_number,
    metavar="FACTOR",
    help="With --from: the host takes FACTOR times its time between CUDA calls.",
)
@click.option(
    "--overlap",
    multiple=True,
    metavar="GLOB",
    help="With --from: the ranges that match run on another thread, beside the step.",
)
@click.option(
    "--write-to",
    type=PathName(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With --from: write each what-if as a trace too, for `harness gaps`.",
)
@format_by_ending
@click.option("-o", "--output", type=PathName(dir_okay=False), help="Write to a file instead.")
@click.option("--force", is_flag=True, help="Overwrite output files.")
@asks
@talk_options
def command(**values: Any) -> None:
    """Predict what a decode loop takes, without the GPU.

    With --from: what hiding a wait, graphing the launches or another GPU would win for exactly the
    loop that was recorded; it is replayed first, and the replay's error stands beside the
    predictions. Without: the harness's strategies on GPUs that you may never have seen. Everything
    printed is simulated, and labelled so.

    \b
    Examples:
      harness predict --gpu l40s,h100,h200 --batch-size 1,4,16,64
      harness predict --gpu h100 --strategy kv-cache,deferred --model ./my-model --dtype bfloat16
      harness predict --from traces/example-sync.sqlite
      harness predict --from run.sqlite --without 'enumerate(DataLoader)*'
      harness predict --from run.sqlite --scale-host 0.5 --overlap checkpoint
      harness predict --from run.sqlite --gpu h200,l40s
      harness predict --from run.sqlite --step 'train *' --format json
    """
    from ..simgpu.cli import run_predict

    run_predict(values)
