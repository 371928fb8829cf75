"""What a reporter is, and the neutral tables that reporters draw.

A reporter is one module in this folder that defines `REPORTER`, and its name in the list of the
package.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable
from functools import cache

from msgspec import Struct, field

from ..model.errors import TraceError
from ..model.text import plain
from ..question import Question
from ..report import TraceReport

Value = str | int | float | None


class Column(Struct, frozen=True):
    """`name` is the machine's, with its unit; `title` a person's; `show` how a person reads it:
    `text`, `int`, `id` (a number without separators), `us`, `ms`, `s` (values in ns), `gb` (bytes,
    shown in units of 10^9), `percent` (values in 0..1), `ratio` or `number`."""

    name: str
    title: str
    show: str = "text"
    note: str = ""
    """What a reader must know of it: said below the table wherever the column is shown."""


class Table(Struct, frozen=True):
    """Rows of raw values; durations in ns. `None` is a figure that cannot be given."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]
    notes: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    """The columns that the table is about: they fold, but give way to no other."""
    gives_way: tuple[str, ...] = ()
    """Columns that a terminal does without, in this order; empty: the usual ones."""

    def said(self, columns: Iterable[Column]) -> list[str]:
        """What stands below the table where these of its columns are shown."""
        return [*self.notes, *dict.fromkeys(c.note for c in columns if c.note)]


class Failure(Struct, frozen=True):
    """A file that could not be analysed, why, and the code of that error."""

    path: str
    error: str
    code: str

    @classmethod
    def of(cls, path: str, error: TraceError) -> Failure:
        """What an error says of a file."""
        return cls(path, str(error), error.code)


class Report(Struct, frozen=True):
    """All that a reporter may show."""

    traces: tuple[TraceReport, ...]
    failures: tuple[Failure, ...] = ()
    question: Question = field(default_factory=Question)
    """What was asked of each trace."""
    tool_version: str = ""
    command: str = "harness"
    """How the command line was called, as typed again for the next command."""

    @property
    def by_label(self) -> list[TraceReport]:
        """The traces in the order of all tables: by label, as named where labels are the same."""
        return sorted(self.traces, key=lambda trace: trace.label)


class Terminal(Struct, frozen=True):
    """Where text goes: width in columns, and whether colour is welcome."""

    width: int = 80
    color: bool = False


class Reporter(Struct, frozen=True):
    """One output format. `render` gives the whole text, ending with a newline."""

    name: str
    suffixes: tuple[str, ...]
    describes: str
    render: Callable[[Report, Terminal], str]


_PACKAGE = __name__.rpartition(".")[0]


@cache
def reporters() -> dict[str, Reporter]:
    """Every registered reporter by name."""
    found = map(_reporter_of, importlib.import_module(_PACKAGE).MODULES)
    return {reporter.name: reporter for reporter in found}


def reporter(name: str) -> Reporter:
    """One reporter, without importing the others: its module has its name."""
    return _reporter_of(name)


def _reporter_of(module: str) -> Reporter:
    found: Reporter = importlib.import_module(f"{_PACKAGE}.{module}").REPORTER
    return found


def shown(value: Value, show: str) -> str:
    """A value as a person reads it; an en dash where there is none."""
    if value is None:
        return "–"
    if isinstance(value, str):
        return plain(value)
    if show == "us":
        return f"{value / 1e3:,.1f}"
    if show == "ms":
        return f"{value / 1e6:,.3f}"
    if show == "s":
        return f"{value / 1e9:,.4f}"
    if show == "gb":
        return f"{value / 1e9:,.3f}"
    if show == "percent":
        return f"{value:.1%}"
    if show == "ratio":
        return f"{value:.3f}x"
    if show == "number":
        return f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    if show == "id":
        return str(value)
    return f"{value:,d}" if isinstance(value, int) else f"{value:,.1f}"
