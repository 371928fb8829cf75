"""Markdown tables, for issues and pull requests."""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..answer.sentence import Piece, Sentence
from ..model.text import plain
from .answers import paragraphs, wanted
from .base import Report, Reporter, Table, Terminal, Value, shown
from .layout import chosen_lines, columns_named, legible, repeated, verdict_lines
from .tables import rank_lines, tables

_MARKS = frozenset("\\`*_|<>[]~&$#")
_LONGEST = 1000
"""Characters of a line or a cell."""


def render(report: Report, terminal: Terminal) -> str:
    """Every table as GitHub Markdown, then the verdicts."""
    del terminal
    said = paragraphs(report) if wanted(report) else []
    answer = [f"{escape(head)}: {_marked(text)}" if head else _marked(text) for head, text in said]
    parts = ["  \n".join(answer) + "\n"] if answer else []
    names = repeated(report)
    parts += [markdown(columns_named(report, legible(table, names))) for table in tables(report)]
    lines = (*chosen_lines(report), *rank_lines(report), *verdict_lines(report))
    notes = [f"- {escape(line)}" for line in lines]
    if notes:
        parts.append("\n".join(notes) + "\n")
    return "\n".join(parts)


def markdown(table: Table) -> str:
    """One table with its title and what is to be said of it, ending with a newline."""

    def cell(value: Value, show: str) -> str:
        return escape(shown(value, show))

    lines = [
        f"**{escape(table.title)}**",
        "",
        "| " + " | ".join(column.title for column in table.columns) + " |",
        "|" + "|".join("---" if c.show == "text" else "---:" for c in table.columns) + "|",
    ]
    for row in table.rows:
        cells = (cell(v, c.show) for v, c in zip(row, table.columns, strict=True))
        lines.append("| " + " | ".join(cells) + " |")
    notes = [f"- {escape(note)}" for note in table.said(table.columns)]
    return "\n".join([*lines, *(("", *notes) if notes else ())]) + "\n"


def escape(text: str) -> str:
    """`text` with what Markdown would read as marks made plain."""
    return "".join(f"\\{c}" if c in _MARKS else c for c in plain(text, _LONGEST))


def _marked(sentences: Iterable[Sentence]) -> str:
    """Sentences with their figures in bold and names as code."""
    return " ".join("".join(map(_piece, one)) for one in sentences)


def _piece(piece: Piece) -> str:
    if piece.kind == "code":
        return code(piece.text)
    return f"**{escape(piece.text)}**" if piece.kind == "strong" else escape(piece.text)


def code(name: str) -> str:
    """A name as code, whatever it holds.

    >>> code("misc"), code("a`b")
    ('`misc`', '`` a`b ``')
    """
    name = plain(name, _LONGEST)
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", name)), default=0))
    blank = " " if len(fence) > 1 else ""
    return f"{fence}{blank}{name}{blank}{fence}"


REPORTER = Reporter("md", (".md", ".markdown"), "Markdown tables", render)
