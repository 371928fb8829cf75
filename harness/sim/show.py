"""Tables of predictions for a terminal, and as JSON, CSV and Markdown."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from analysis.reports.base import Table, Terminal, Value, plain, shown
from analysis.reports.csv import comma_separated
from analysis.reports.json import printable
from analysis.reports.md import escape, markdown
from analysis.reports.table import open_console

GIVES_WAY = ("tokens_per_s", "floor_ns", "idle_share", "inter_step_idle_ns", "gpu_busy_ns")
"""Columns that a terminal does without, in this order, until the table fits."""


@dataclass(frozen=True)
class Outcome:
    """What a prediction says: tables, warnings, and facts that only machines want."""

    kind: str
    tables: tuple[Table, ...]
    warnings: tuple[str, ...] = ()
    facts: tuple[tuple[str, Any], ...] = ()


def render(outcome: Outcome, name: str, terminal: Terminal) -> str:
    """The whole text in one of FORMATS, ending with a newline."""
    return _RENDERERS[name](outcome, terminal)


def _json(outcome: Outcome, terminal: Terminal) -> str:
    del terminal
    data: dict[str, Any] = {"schema_version": 1, "kind": outcome.kind, "origin": "simulated"}
    data |= dict(outcome.facts)
    for table in outcome.tables:
        names = [column.name for column in table.columns]
        data[table.name] = [
            {name: _rounded(value) for name, value in zip(names, row, strict=True)}
            for row in table.rows
        ]
    data["notes"] = [note for table in outcome.tables for note in table.notes]
    data["warnings"] = list(outcome.warnings)
    return printable(json.dumps(data, indent=2, ensure_ascii=False) + "\n")


def _rounded(value: Value) -> Value:
    return round(value, 6) if isinstance(value, float) else value


def _csv(outcome: Outcome, terminal: Terminal) -> str:
    """The first table alone, raw ns."""
    del terminal
    return comma_separated(outcome.tables[0], digits=6)


def _markdown(outcome: Outcome, terminal: Terminal) -> str:
    del terminal
    parts = []
    for table in outcome.tables:
        parts.append(markdown(table))
        if table.notes:
            parts.append("".join(f"- {escape(note)}\n" for note in table.notes))
    if outcome.warnings:
        parts.append("".join(f"- **{escape(warning)}**\n" for warning in outcome.warnings))
    return "\n".join(parts)


def _cells(table: Table, row: Sequence[Value]) -> list[str]:
    return [shown(value, c.show) for value, c in zip(row, table.columns, strict=True)]


def _fitting(table: Table, cells: list[list[str]], width: int) -> list[int]:
    """Indices of the columns that fit into `width` together."""
    natural = [
        max([len(column.title), *(len(row[k]) for row in cells)])
        for k, column in enumerate(table.columns)
    ]
    chosen = list(range(len(table.columns)))
    for name in GIVES_WAY:
        if sum(natural[k] + 2 for k in chosen) - 2 <= width:
            break
        chosen = [k for k in chosen if table.columns[k].name != name]
    return chosen


def _table(outcome: Outcome, terminal: Terminal) -> str:
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    file = io.StringIO()
    console = open_console(file, terminal)
    for table in outcome.tables:
        console.print(Text(plain(table.title, 600), style="bold"))
        grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), show_edge=False)
        cells = [_cells(table, row) for row in table.rows]
        chosen = _fitting(table, cells, terminal.width)
        for k in chosen:
            column = table.columns[k]
            text = column.show == "text"
            grid.add_column(
                Text(column.title), justify="left" if text else "right", overflow="fold"
            )
        for row in cells:
            grid.add_row(*(Text(row[k]) for k in chosen))
        console.print(grid)
        for note in table.notes:
            console.print(Text(f"  {plain(note, 600)}"), soft_wrap=False)
        console.print()
    for warning in outcome.warnings:
        console.print(Text(f"! {plain(warning, 600)}", style="yellow"))
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


_RENDERERS = {"table": _table, "json": _json, "csv": _csv, "md": _markdown}
FORMATS = tuple(_RENDERERS)
