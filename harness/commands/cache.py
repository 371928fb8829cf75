"""`harness cache`: the traces that are kept for a second look."""

from __future__ import annotations

import click

from .. import talk
from ._output_options import talk_options


@click.command("cache", short_help="List, or clear, what is kept of traces for a second look.")
@click.argument("action", type=click.Choice(["list", "clear"]), default="list")
@talk_options
def command(action: str) -> None:
    """List what is kept of large traces, or remove it.

    `harness gaps` keeps the columns of a trace of 20 MB or more, and its answers, so that the next
    look at the same file reads neither. HARNESS_CACHE names another folder, HARNESS_CACHE_SIZE
    another limit (default 10GB); HARNESS_CACHE=off keeps nothing, as --no-cache does for one run.

    \b
    Examples:
      harness cache
      harness cache clear
    """
    from ..run import cache
    from ..sizes import shown_bytes

    if action == "clear":
        count, freed = cache.clear()
        talk.say(f"{count} kept traces and exports removed, {shown_bytes(freed)}")
        return
    for line in cache.listing():
        click.echo(line)
