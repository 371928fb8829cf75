"""Comma-separated values: the first table alone, raw nanoseconds, units in the names."""

from __future__ import annotations

import csv
import io

from msgspec.structs import replace

from ..model.text import plain
from .base import Report, Reporter, Table, Terminal
from .tables import asked, name_of


def render(report: Report, terminal: Terminal) -> str:
    """One header and one row per entry; `--by`, `--top` and `--definitions` choose the table.

    A trace of which the table says nothing has a row without figures, so that none is missing.
    """
    del terminal
    every = asked(report)
    chosen = next((table for table in every if table.rows), every[0])
    return comma_separated(_with_every_trace(chosen, report))


def _with_every_trace(table: Table, report: Report) -> Table:
    """At least one row a trace, or where rows are of strategies one a strategy."""
    names = [column.name for column in table.columns]
    key = "trace" if "trace" in names else "strategy"
    known = [{"strategy": name_of(t), "trace": t.path} for t in report.by_label]
    place = {one[key]: k for k, one in reversed(list(enumerate(known)))}
    at = names.index(key)
    there = {row[at] for row in table.rows}
    bare = [tuple(map(known[k].get, names)) for name, k in place.items() if name not in there]
    rows = [*table.rows, *bare]
    if table.name != "by_rank":  # its ranks stand by job
        rows.sort(key=lambda row: place[str(row[at])])
    return replace(table, rows=tuple(rows))


def comma_separated(table: Table, digits: int = 3) -> str:
    """A header of machine names, then one line a row; fractions with so many digits."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.name for column in table.columns])
    for row in table.rows:
        writer.writerow(["" if value is None else _cell(value, digits) for value in row])
    return text.getvalue()


def _cell(value: str | int | float, digits: int) -> str | int | float:
    if isinstance(value, str):
        return text_cell(value)
    return round(value, digits) if isinstance(value, float) else value


def text_cell(text: str) -> str:
    """A recorded name made safe for a terminal and a spreadsheet."""
    clean = plain(text, len(text))
    # A spreadsheet would run a name that begins like a formula.
    return "'" + clean if clean[:1] in ("=", "+", "-", "@") else clean


REPORTER = Reporter("csv", (".csv",), "comma-separated values, ns", render)
