"""`harness bench`: strategies timed against each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..decode.workload import DEVICES, DTYPES, Workload
from ..options import TokenIds
from ..param_type import ParamType
from ._output_options import format_printed, talk_options
from ._paths import PathName


class Numbers(ParamType):
    """`100,200,400`: whole numbers from 1."""

    name = "N,N,..."

    def convert(self, value: Any, param: Any, ctx: Any) -> tuple[int, ...]:
        if isinstance(value, tuple):
            return value
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and len(part) < 19 and int(part) > 0 for part in parts):
            self.fail(f"{value!r} is not a list of numbers from 1; use for example 100,200,400")
        return tuple(dict.fromkeys(map(int, parts)))


class PresetName(ParamType):
    """The name of a ready-made plan."""

    name = "PRESET"

    def convert(self, value: Any, param: Any, ctx: Any) -> str:
        from ..bench.plan import presets

        if value not in presets():
            self.fail(f"{value!r} is none of {', '.join(presets())}", param, ctx)
        return str(value)


@click.command("bench")
@click.option(
    "--strategy",
    "strategies",
    multiple=True,
    metavar="NAME[,NAME...]",
    help="Strategies, by name or NAME+CHOICE (baseline+pingpong); repeat or separate by commas.",
)
@click.option("--all", "every", is_flag=True, help="Every strategy.")
@click.option("--preset", type=PresetName(), help="A ready-made plan: article.")
@click.option("--batch-size", type=Numbers(), default="32", show_default=True)
@click.option(
    "--max-seqlen",
    type=Numbers(),
    default="100,200,400",
    show_default=True,
    help="Tokens to generate for each row.",
)
@click.option("--model", default=Workload.model, show_default=True, metavar="NAME|PATH")
@click.option("--device", type=click.Choice(DEVICES), default=Workload.device, show_default=True)
@click.option("--dtype", type=click.Choice(DTYPES), default=Workload.dtype, show_default=True)
@click.option("--prompt-length", type=int, default=Workload.prompt_length, show_default=True)
@click.option("--prompt-tokens", type=TokenIds(), help="Prompt as token ids, for every row.")
@click.option("--temperature", type=float, default=Workload.temperature, show_default=True)
@click.option("--eos-id", type=int, help="End-of-sequence token; -1 for none.")
@click.option("--force-eos-at", metavar="STEP[,STEP...]", help="Force the end of sequence.")
@click.option("--every-k", type=int, default=Workload.every_k, show_default=True)
@click.option("--lag", type=int, default=Workload.lag, show_default=True)
@click.option(
    "--seed", type=int, default=0, show_default=True, help="Of weights, prompt and the order."
)
@click.option("--rounds", type=int, default=10, show_default=True, help="Runs of each cell.")
@click.option(
    "--min-runs",
    type=int,
    default=3,
    show_default=True,
    help="With a time budget: rounds that it is spread over first.",
)
@click.option(
    "--warmup", type=int, default=1, show_default=True, help="Full runs before a timed one."
)
@click.option("--time-budget", type=float, metavar="S", help="Stop starting runs after S seconds.")
@click.option(
    "--bandwidth",
    type=float,
    metavar="GB/s",
    help="Memory bandwidth for the floor, where the GPU is not known.",
)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False, path_type=Path),
    default=Path("results.db"),
    show_default=True,
    help="Results file (SQLite); sessions are added to it.",
)
@click.option("--resume", is_flag=True, help="Go on with the newest unfinished session.")
@click.option("--session", metavar="ID", help="With --resume: that session.")
@click.option("--label", help="Name the session.")
@format_printed("What is printed.")
@talk_options
@click.pass_context
def command(ctx: click.Context, /, **values: Any) -> None:
    """Time decode strategies against each other, without a profiler.

    Each strategy at each batch size and length is a cell. In every round each cell is built
    afresh, warmed up and timed once, in random order; one process per allocator setting. Every
    run is stored as it ends: a killed session goes on with --resume.

    \b
    Examples:
      harness bench --strategy kv-cache,pipelined,deferred --batch-size 16 --max-seqlen 100
      harness bench --preset article --time-budget 480 -o results.db
      harness bench --strategy baseline+pingpong,baseline --rounds 20 --json
      harness bench --strategy kv-cache,pipelined --device cpu --model tiny --max-seqlen 50
      harness bench --resume -o results.db
    """
    import sys

    from ..bench.progress import Progress
    from ..bench.render import render
    from ..bench.request import exit_code, plan_of
    from ..bench.run import Options, run
    from ..terminal import terminal

    given = {
        name
        for name in ctx.params
        if ctx.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE
    }
    plan = plan_of(values, given)
    progress = Progress(sys.stderr)
    outcome = run(
        plan,
        Options(
            output=values["output"],
            resume=values["resume"],
            session=values["session"],
            time_budget_s=values["time_budget"],
            bandwidth=values["bandwidth"] * 1e9 if values["bandwidth"] else None,
            label=values["label"],
            argv=tuple(sys.argv),
        ),
        progress,
    )
    from ..bench.figures import load
    from ..bench.store import Store

    with Store.reading(values["output"]) as store:
        figures = load(store, outcome.session)
    click.echo(render(figures, values["format_name"], terminal(to_file=False)), nl=False)
    progress.say(f"results: {values['output']} (harness results {values['output']})")
    ctx.exit(exit_code(outcome, progress))
