"""`harness scrub`: a copy of a trace that can be passed on."""

from __future__ import annotations

import click

from ..errors.options import UnknownEnding
from ._output_options import talk_options
from ._paths import ANY, PathName, one_trace


@click.command("scrub", short_help="A copy of a trace without environment, commands, hosts.")
@click.argument("trace", metavar="TRACE", type=ANY, callback=one_trace)
@click.option(
    "-o",
    "--output",
    type=PathName(dir_okay=False),
    required=True,
    metavar="FILE",
    help="Where to write the copy; a manifest goes beside it.",
)
@click.option(
    "--allow",
    multiple=True,
    metavar="NAME",
    help="A variable or metadata name whose value may stay where a kept name holds it, too.",
)
@click.option("--force", is_flag=True, help="Overwrite the output files.")
@click.option("--nsys", type=ANY, metavar="PATH", help="The nsys that exports a .nsys-rep file.")
@talk_options
def command(trace: str, output: str, allow: tuple[str, ...], force: bool, nsys: str | None) -> None:
    """Copy TRACE without environment, command lines, users, hosts and the target's output.

    Range, kernel and thread names stay, and every figure of `harness gaps`. The copy's raw bytes
    are searched for each value that was removed; where one is found, no copy is written. TRACE
    itself is only read; of a folder, the newest is taken. A .nsys-rep cannot be scrubbed: its
    export is. Of torch.profiler's JSON, the copy holds the events that figures need, without Python
    frames and other arguments.

    \b
    Examples:
      harness scrub run.sqlite -o clean.sqlite
      harness scrub run.nsys-rep -o clean.sqlite
      harness scrub run.sqlite -o clean.sqlite --allow LANG
      harness scrub trace.json.gz -o clean.json.gz
    """
    from pathlib import Path

    from ..files import refuse_existing
    from ..question import Means
    from ..run.exports import check_nsys, sqlite_of
    from ..scrub.report import told
    from ..scrub.scrub import holds_json, scrub

    check_nsys(nsys)
    json = holds_json(Path(trace))
    endings = (".json", ".json.gz") if json else (".sqlite", ".db", ".sqlite3")
    if not output.endswith(endings):
        what = "a JSON file" if json else "an SQLite file"
        raise UnknownEnding(
            f"{output}: the copy is {what}", remedy=f"let its name end in {endings[0]}"
        )
    for written in (output,) if json else (output, Path(output).with_suffix(".json")):
        refuse_existing(written, force=force, inputs=(trace,))
    with sqlite_of(trace, Means(nsys=nsys)) as sqlite:
        done = scrub(sqlite, Path(output), force=force, allow=allow, json=json)
    click.echo(told(done), nl=False)
