"""`harness explain`: what a word, a code in square brackets, a verdict or an idle cause means."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

    from ..entries import Entry


def _codes(ctx: click.Context, param: click.Parameter, begun: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    from ..entries import all_entries, change_entries, kind_entries, word_entry
    from ..glossary import words

    gains = {entry.code: entry for entry in (*change_entries(), *kind_entries())}
    known = {**{word.code: word_entry(word) for word in words()}, **gains, **all_entries()}
    return [
        CompletionItem(code, help=entry.title)
        for code, entry in known.items()
        if code.startswith(begun)
    ]


@click.command("explain")
@click.argument("words", metavar="[WORD]...", nargs=-1, shell_complete=_codes)
def command(words: tuple[str, ...]) -> None:
    """Explain a WORD of the tables, or why an error, a verdict or an idle cause comes.

    Kinds, which say what a loop would win most by, and changes, which the table of gains tries,
    have entries too. Column heads, with or without their unit, and names in the JSON are words.
    Every error ends with its code in square brackets, every verdict below a table begins with one,
    and idle causes are what `harness gaps --by cause` lists. Without WORD, list them all. The same
    entries are in docs/glossary.md and docs/troubleshooting.md.

    \b
    Examples:
      harness explain
      harness explain steady state
      harness explain 'drained by'
      harness explain not-a-trace
      harness explain launches-without-gpu-rows
      harness explain migration
      harness explain input-pipeline
    """
    import textwrap

    from ..entries import ROOMS, change_entries, kind_entries, word_entry
    from ..glossary import TOPICS
    from ..terminal import terminal

    if not words:
        lines = textwrap.TextWrapper(
            terminal(to_file=False).width, subsequent_indent=" " * 30, break_on_hyphens=False
        )
        for room in ROOMS:
            click.echo(f"{room.title}:")
            for entry in room.entries():
                click.echo(lines.fill(f"  {entry.code:26}  {entry.title}"))
        for title, entries in (("Kinds", kind_entries()), ("Changes", change_entries())):
            click.echo(f"{title}:")
            for entry in entries:
                click.echo(lines.fill(f"  {entry.code:26}  {entry.title}"))
        for topic, listed in TOPICS.items():
            click.echo(f"{topic}:")
            for word in listed:
                click.echo(lines.fill(f"  {word.name:26}  {word_entry(word).title}"))
        return
    click.echo("\n\n".join(map(_explained, _found(" ".join(words).strip("[]")))))


def _found(code: str) -> list[Entry]:
    """What goes by this name. Raises UnknownCode."""
    import difflib

    from ..entries import all_entries, change_entries, entries_of, kind_entries
    from ..errors.options import UnknownCode
    from ..glossary import slug, words

    found = entries_of(code)
    if found:
        return found
    known = {*all_entries(), *(one.code for one in (*kind_entries(), *change_entries()))}
    known = known.union(*((word.code, *map(slug, word.also)) for word in words()))
    near = difflib.get_close_matches(slug(code), sorted(known), n=1)
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
