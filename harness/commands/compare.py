"""`harness compare`: is B slower than A?"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..errors.options import ValueOutOfRange
from ..param_type import ParamType
from ._output_options import force_option, format_by_ending
from ._paths import ANY, PathName
from ._trace_options import answers, asks, nsys_option


class Share(ParamType):
    """`5%` or `0.05`."""

    name = "SHARE"

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
        except ValueError:
            self.fail(f"{text!r} is not a share; use for example 5% or 0.05")
        if not 0 <= share < 100:
            self.fail(f"{text!r} is not a share; use for example 5% or 0.05")
        return share


@click.command("compare")
@click.argument("before", type=ANY)
@click.argument("after", type=ANY)
@click.option(
    "--fail-above",
    type=Share(),
    metavar="SHARE",
    help="Exit code 3 where a metric is worse by more than this, and significantly so.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Only this metric; repeat it. --fail-above then looks at these alone.",
)
@click.option(
    "--confidence",
    type=Share(),
    default="95%",
    show_default=True,
    help="Of intervals and tests: 95% marks one equal pair in twenty.",
)
@click.option("--step", "globs", multiple=True, metavar="GLOB", help="NVTX ranges that are steps.")
@click.option("--step-regex", "regexes", multiple=True, metavar="REGEX")
@format_by_ending
@click.option("-o", "--output", type=PathName(dir_okay=False, path_type=Path))
@force_option
@nsys_option
@asks
@answers
@click.pass_context
def command(
    ctx: click.Context, /, before: str, after: str, question: Any, means: Any, **values: Any
) -> None:
    """Compare BEFORE and AFTER: traces, folders of traces, or results of `harness bench`.

    A results file can be narrowed: FILE@SESSION, FILE#STRATEGY, FILE@SESSION#STRATEGY; without a
    session it is the newest. What differs in how both were made comes first, then after / before
    for each metric, with its interval. By default --fail-above looks at runtime and step time.

    \b
    Examples:
      harness compare traces/kv-cache.sqlite traces/pipelined.sqlite
      harness compare main/ branch/ --fail-above 5%
      harness compare results.db@20261101 results.db --format md
      harness compare results.db#kv-cache results.db#pipelined
    """
    from ..comparison import FORMATS, path_of, render, run_compare
    from ..files import refuse_existing, write_text
    from ..gaps import format_of
    from ..terminal import terminal

    if not 0.5 <= values["confidence"] < 1:
        given = f"{100 * values['confidence']:.5g}%"
        raise ValueOutOfRange(f"--confidence is {given}", remedy="use 50% to 99.9%")
    output: Path | None = values["output"]
    format_name = format_of(values["format_name"], str(output) if output else None, among=FORMATS)
    if output is not None:
        refuse_existing(output, force=values["force"], inputs=(path_of(before), path_of(after)))
    found = run_compare(
        before,
        after,
        question,
        means,
        confidence=values["confidence"],
        metrics=values["metrics"],
    )
    limit = values["fail_above"]
    regressions = () if limit is None else found.regressions(limit)
    text = render(found, regressions, format_name, terminal(to_file=output is not None))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, force=values["force"])
    for ratio in regressions:
        from ..bench.remarks import Regression

        worse = Regression(
            f"regression: {ratio.subject}: {ratio.metric} is worse by {ratio.loss:.1%}, "
            f"more than {limit:.1%} (p = {ratio.p:.2g})"
        )
        click.echo(f"harness: {worse.line}", err=True)
    if regressions:
        ctx.exit(3)
