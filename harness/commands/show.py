"""`harness show`: one step of a trace as a timeline, in the terminal or as a figure."""

from __future__ import annotations

from typing import Any

import click

from ..errors.options import OptionsConflict
from ..param_type import ParamType
from ._output_options import force_option, talk_options
from ._paths import ANY, PathName, one_trace
from ._trace_options import trace_options, window_option


class StepChoice(ParamType):
    """`37` is the step to show; anything else is a wildcard that says which ranges are steps."""

    name = "N|GLOB"

    def convert(self, value: object, param: object, ctx: object) -> int | str:
        if isinstance(value, int):
            return value
        text = str(value)
        return int(text) if text.isdecimal() and len(text) <= 18 else text


def _parted(ctx: click.Context, param: object, choices: tuple[int | str, ...]) -> tuple[str, ...]:
    """The wildcards; the number of a step is handed to the command as `step`."""
    numbers = [choice for choice in choices if isinstance(choice, int)]
    if len(numbers) > 1:
        raise OptionsConflict(f"--step names {len(numbers)} steps", remedy="show one at a time")
    ctx.params["step"] = numbers[0] if numbers else None
    return tuple(choice for choice in choices if isinstance(choice, str))


@click.command("show")
@click.argument("trace", metavar="TRACE", type=ANY, callback=one_trace)
@click.option(
    "--step",
    "globs",
    type=StepChoice(),
    multiple=True,
    callback=_parted,
    help="The number of the step to show; or, as in `harness gaps`, a wildcard that says which "
    "NVTX ranges are steps. Both may be given.",
)
@click.option(
    "--gap",
    type=click.Choice(["worst", "median"]),
    help="Without a step number: the step whose longest gap is the worst, or the median one. "
    "Default: worst.",
)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    metavar="FILE",
    help="Write a figure instead: .svg, .png, or .txt for the plain drawing.",
)
@click.option("--dark", is_flag=True, help="A figure on dark paper.")
@force_option
@window_option
@trace_options(names_steps=False)
@talk_options
def command(**asked: Any) -> None:
    """Draw one step: what the host did, what the GPU did, and why it idled.

    Of a folder, the newest trace.

    \b
    Examples:
      harness show run.sqlite --step 37
      harness show run.sqlite --step 'Step *' --gap median
      harness show run.sqlite --step 37 -o figure.svg
    """
    from ..show import run_show

    if asked["step"] is not None and asked["gap"]:
        raise OptionsConflict("--gap chooses a step, and so does --step N")
    run_show(**asked)
