"""Markdown tables, for issues and pull requests."""

from __future__ import annotations

from ..model.text import plain
from .answers import answer_lines
from .base import Report, Reporter, Table, Terminal, Value, shown
from .layout import chosen_lines, columns_named, legible, repeated, verdict_lines
from .tables import rank_lines, tables


def render(report: Report, terminal: Terminal) -> str:
    """Every table as GitHub Markdown, then the verdicts."""
    del terminal
    answer = [escape(line) for line, _ in answer_lines(report, 10**6)]
    parts = ["  \n".join(answer) + "\n"] if answer else []
    names = repeated(report)
    parts += [markdown(columns_named(report, legible(table, names))) for table in tables(report)]
    said = (*chosen_lines(report), *rank_lines(report), *verdict_lines(report))
    notes = [f"- {escape(line)}" for line in said]
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
    for mark in "\\`*_|<>[]":
        text = text.replace(mark, "\\" + mark)
    return plain(text, 400)


REPORTER = Reporter("md", (".md", ".markdown"), "Markdown tables", render)
