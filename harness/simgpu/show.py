"""Tables of predictions for a terminal, and as JSON, CSV and Markdown."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from ..analysis.model.remark import Warned
from ..analysis.reports.base import Table, Terminal, Value
from ..analysis.reports.csv import comma_separated
from ..analysis.reports.json import printable
from ..analysis.reports.md import escape, markdown
from ..analysis.reports.table import drawn

GIVES_WAY = ("tokens_per_s", "floor_ns", "idle_share", "inter_step_idle_ns", "gpu_busy_ns")
"""Columns that a terminal does without, in this order, until the table fits."""


@dataclass(frozen=True)
class Outcome:
    """What a prediction says: tables, warnings, and facts that only machines want."""

    kind: str
    tables: tuple[Table, ...]
    warnings: tuple[Warned, ...] = ()
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
    if outcome.warnings:
        parts.append("".join(f"- **{escape(warning.line)}**\n" for warning in outcome.warnings))
    return "\n".join(parts)


def _table(outcome: Outcome, terminal: Terminal) -> str:
    tables = [replace(table, gives_way=GIVES_WAY) for table in outcome.tables]
    return drawn(
        tables, [(f"! {warning.line}", "yellow") for warning in outcome.warnings], terminal
    )


_RENDERERS = {"table": _table, "json": _json, "csv": _csv, "md": _markdown}
FORMATS = tuple(_RENDERERS)
