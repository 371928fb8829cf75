"""`harness results`: what stands in a results file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ._output_options import format_printed
from ._paths import PathName


@click.command("results")
@click.argument("file", type=PathName(dir_okay=False, path_type=Path), default=Path("results.db"))
@click.option("--session", metavar="ID", help="One session in full; `last` is the newest.")
@click.option("--strategy", "strategies", multiple=True, metavar="NAME[,NAME...]")
@click.option("--batch-size", type=int, metavar="N")
@click.option("--max-seqlen", type=int, metavar="N")
@click.option("--model", metavar="NAME")
@click.option("--device-name", metavar="TEXT", help="Part of the device's name.")
@click.option("--label", metavar="NAME", help="Sessions with this label.")
@click.option("--since", metavar="DATE", help="Sessions begun on this day or later: 2026-01-31.")
@format_printed()
def command(file: Path, **values: Any) -> None:
    """List the sessions of a results FILE (default: results.db), or what they measured.

    Without options: one line a session. --session shows one as `harness bench` printed it. The
    filters show matching cells of all sessions, one line each.

    \b
    Examples:
      harness results
      harness results results.db --session last
      harness results results.db --strategy pipelined,kv-cache --max-seqlen 100
      harness results results.db --session 20261123 --format csv
    """
    from ..bench.history import show
    from ..terminal import terminal

    click.echo(show(file, terminal(to_file=False), **values), nl=False)
