"""`harness compare`: is B slower than A?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..errors.options import ValueOutOfRange
from ..param_type import ParamType
from ._output_options import force_option, format_by_ending, talk_options
from ._paths import ANY, PathName
from ._trace_options import answers, asks, nsys_option, recorded_option, slice_option

if TYPE_CHECKING:
    from ..analysis.compare.gate import Gate
    from ..analysis.compare.verdict import Ratio
    from ..analysis.model.remark import Warned


class Share(ParamType):
    """`5%` or `0.05`; a bare 5 would be 500%, and is refused."""

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
        if share >= 1 and not text.endswith("%"):
            self.fail(f"{text!r} would be {100 * share:.5g}%; use {text}% or {share / 100:.5g}")
        return share


@click.command("compare")
@click.argument("before", type=ANY)
@click.argument("after", type=ANY)
@click.option(
    "--fail-above",
    type=Share(),
    metavar="SHARE",
    help="Exit code 3 where a gated metric is worse by more than this, and significantly so; 4 "
    "where that cannot be judged.",
)
@click.option(
    "--unjudged",
    type=click.Choice(["fail", "pass"]),
    default="fail",
    show_default=True,
    help="What --fail-above does where too few runs were made to judge: exit code 4, or 0.",
)
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME",
    help="Only this metric; repeat it. --fail-above then looks at these alone.",
)
@click.option(
    "--history",
    type=ANY,
    metavar="PAST",
    help="A folder of 3 traces or more of unchanged runs, or a results file of 3 sessions or more: "
    "they show how much single traces, or sessions, differ.",
)
@click.option(
    "--confidence",
    type=Share(),
    default="95%",
    show_default=True,
    help="Of intervals and tests: at 95% one comparison of equals in twenty finds a difference.",
)
@click.option("--step", "globs", multiple=True, metavar="GLOB", help="NVTX ranges that are steps.")
@click.option("--step-regex", "regexes", multiple=True, metavar="REGEX")
@slice_option
@format_by_ending
@click.option("-o", "--output", type=PathName(dir_okay=False, path_type=Path))
@force_option
@nsys_option
@recorded_option
@asks
@answers
@talk_options
@click.pass_context
def command(
    ctx: click.Context, /, before: str, after: str, question: Any, means: Any, **values: Any
) -> None:
    """Compare BEFORE and AFTER: traces, folders of traces, or results of `harness bench`.

    A results file can be narrowed: FILE@SESSION, FILE#STRATEGY, FILE@SESSION#STRATEGY; without a
    session it is the newest. What differs in how both were made comes first, then after / before
    for each metric, with its interval.

    One run against one speaks of these two runs alone: nothing is called worse, and no gate fails.
    Three runs or more on a side show how much runs differ. Differences below 1% or 2 µs count for
    nothing. By default --fail-above looks at runtime, and at step and idle time, as mean and as
    median; together they raise a false alarm in at most 5% of comparisons.

    Where both sides prove what they are without their recorder, that is compared; else, and with
    --as-recorded, both are as recorded.

    Exit codes: 0 nothing is known to be worse; 1 error; 2 usage; 3 regression; 4 cannot judge: too
    few runs, and what was seen, or its interval, is beyond --fail-above.

    \b
    Examples:
      harness compare traces/kv-cache.sqlite traces/pipelined.sqlite
      harness compare main/ branch/ --fail-above 5%
      harness compare before.sqlite after.sqlite --history main/ --fail-above 5%
      harness compare results.db@20261101 results.db --format md
      harness compare results.db#kv-cache results.db#pipelined
    """
    from ..analysis.compare.gate import gate
    from ..comparison import path_of, run_compare
    from ..comparison_tables import FORMATS, render
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
        past=values["history"],
    )
    limit = values["fail_above"]
    gated = None if limit is None else gate(found, limit)
    text = render(found, gated, format_name, terminal(to_file=output is not None))
    if output is None:
        click.echo(text, nl=False)
    else:
        write_text(output, text, force=values["force"])
    if gated is not None:
        code = _told(gated, passes=values["unjudged"] == "pass")
        if code:
            ctx.exit(code)


def _loss(ratio: Ratio) -> str:
    """How much worse it is; where it was 0 there is no share of that."""
    if ratio.ratio is not None:
        return f"worse by {ratio.loss:.1%}"
    return f"worse ({ratio.after:,.4g} {ratio.unit}, from 0)"


def _told(gated: Gate, *, passes: bool) -> int:
    """Say what the gate found, and give the exit code."""
    from ..bench.remarks import CannotJudge, Regression

    said: list[Warned] = [
        Regression(
            f"regression: {ratio.subject}: {ratio.metric} is {_loss(ratio)}, "
            f"more than {gated.limit:.1%} (p = {ratio.p_adjusted:.2g})"
        )
        for ratio in gated.regressions
    ]
    for ratio in gated.unjudged:
        few = " against ".join(map(str, ratio.runs))
        reach = "" if ratio.most <= ratio.loss else f", perhaps by {ratio.most:.1%}"
        said.append(
            CannotJudge(
                f"cannot judge: {ratio.subject}: {ratio.metric} was {_loss(ratio)}"
                f"{reach}; {few} is too few to show how much runs differ: record 3 runs or more of "
                "each"
            )
        )
    for line in said:
        click.echo(f"harness: {line.line}", err=True)
    if gated.few and not said:
        counts = "{} and {} runs".format(*gated.few)
        these = "these are two single runs" if gated.few == (1, 1) else f"{counts} are too few"
        click.echo(f"harness: passed, but {these}: others may differ by more", err=True)
    if gated.regressions:
        return 3
    return 4 if gated.unjudged and not passes else 0
