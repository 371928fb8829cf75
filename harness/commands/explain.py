"""`harness explain`: what a code in square brackets, a verdict's, or an idle cause means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..entries import Entry


def _codes(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from ..entries import all_entries

    return [
        CompletionItem(code, help=entry.title)
        for code, entry in all_entries().items()
        if code.startswith(begun)
    ]


@click.command("explain")
@click.argument("name", required=False, shell_complete=_codes)
def command(name: str | None) -> None:
    """Explain NAME: why an error, a verdict or an idle cause comes, and what to do.

    Every error ends with its code in square brackets, every verdict below a table begins with one,
    and idle causes are what `harness gaps --by cause` lists. Without NAME, list them all. The same
    entries are in docs/troubleshooting.md.

    \b
    Examples:
      harness explain
      harness explain not-a-trace
      harness explain launches-without-gpu-rows
      harness explain migration
    """
    import textwrap

    from ..entries import ROOMS
    from ..terminal import terminal

    if name is None:
        lines = textwrap.TextWrapper(
            terminal(to_file=False).width, subsequent_indent=" " * 30, break_on_hyphens=False
        )
        for room in ROOMS:
            click.echo(f"{room.title}:")
            for entry in room.entries():
                click.echo(lines.fill(f"  {entry.code:26}  {entry.title}"))
        return
    click.echo("\n\n".join(map(_explained, _found(name.strip("[]")))))


def _found(code: str) -> list[Entry]:
    """What goes by this name. Raises UnknownCode."""
    import difflib

    from ..entries import all_entries, entries_of
    from ..errors.options import UnknownCode

    found = entries_of(code)
    if found:
        return found
    near = difflib.get_close_matches(code, all_entries(), n=1)
    remedy = f"did you mean {near[0]}?" if near else None
    raise UnknownCode(f"no entry is called {code!r}", remedy=remedy)


def _explained(entry: Entry) -> str:
    """An entry as a terminal shows it: wrapped, links spelled out."""
    import re
    import textwrap

    kind = entry.kind
    if entry.exit_code is not None:
        kind += f", exit code {entry.exit_code}" if entry.exit_code else ", exit code of its own"
    parts = [f"{entry.code} ({kind})", entry.title, entry.text]
    if entry.remedy:
        parts.append(f"What to do: {entry.remedy}.".replace("?.", "?"))
    told = re.sub(r"\[([^\]]+)\]\(([^)]+)\)", r"\1 (docs/\2)", "\n\n".join(filter(None, parts)))
    paragraphs = told.split("\n\n")
    return "\n\n".join(
        textwrap.fill(one, 80, break_long_words=False, break_on_hyphens=False) for one in paragraphs
    )
