"""Comma-separated values: the first table alone, raw nanoseconds, units in the names."""

from __future__ import annotations

import csv
import io

from .base import Report, Reporter, Table, Terminal, plain
from .tables import asked


def render(report: Report, terminal: Terminal) -> str:
    """One header and one row per entry; `--by`, `--top` and `--definitions` choose the table.

    Without any rows the header alone: programs that read it fail on an empty file.
    """
    del terminal
    every = asked(report)
    return comma_separated(next((table for table in every if table.rows), every[0]))


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
