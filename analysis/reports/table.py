"""Tables for a terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..validity import Level
from .base import Report, Reporter, Table, Terminal, Value, plain, shown
from .grid import grid_of
from .layout import caveats, legible, verdict_lines
from .tables import rank_lines, tables

if TYPE_CHECKING:
    from rich.console import Console

_GIVES_WAY = (
    # Columns left out, in this order, until a table fits the terminal.
    "remedy", "gpu_start_ns", "meaning", "idle_max_ns", "gap_p95_ns", "trace", "host_ns",
    "idle_p99_ns", "intra_ns", "note", "busy_ns", "inter_ns", "gap_p50_ns", "idle_p50_ns",
    "device_name", "gap_p99_ns", "kind", "mostly_in", "recoverable_ns", "idle_p95_ns",
    "communication_ns", "gap_max_ns", "drained_by", "gpu_ns", "window_ns",
    "before",
)  # fmt: skip
_LONGEST = 2000
"""Characters of a title or a line below the tables."""
_OF_RANKS = (
    "trace", "pattern", "pid", "device", "rank_from", "collectives", "alone_ns", "compute_ns",
    "communication_ns", "extra_ns", "steps", "last_share", "extra_cause", "idle_ns", "job",
)  # fmt: skip


def render(report: Report, terminal: Terminal) -> str:
    """Tables, verdicts, and what to type next; fits `terminal.width`."""
    lines = [
        (f"! {line}", "red" if " invalid)" in line or line.startswith("failed") else "yellow")
        for line in verdict_lines(report)
    ]
    lines = [(line, "") for line in rank_lines(report)] + lines
    lines += [(line, "dim") for line in caveats(report)]
    lines += [(line, "bold") for line in next_steps(report)]
    return drawn([legible(table) for table in tables(report)], lines, terminal)


def drawn(tables: Sequence[Table], lines: Sequence[tuple[str, str]], terminal: Terminal) -> str:
    """Tables, then lines of (text, style), as text that fits `terminal.width`.

    Lines of style "bold" are commands: they are never folded, so that they can be copied.
    """
    from rich.text import Text

    file = io.StringIO()
    console = open_console(file, terminal)
    for table in tables:
        _draw(console, table, terminal.width)
    for line, style in lines:
        console.print(Text(plain(line, _LONGEST), style=style), soft_wrap=style == "bold")
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


def open_console(file: io.StringIO, terminal: Terminal) -> Console:
    """A console that writes to `file` as this terminal wants it, and reads no markup."""
    from rich.console import Console

    return Console(
        file=file,
        width=terminal.width,
        force_terminal=terminal.color,
        no_color=not terminal.color,
        color_system="standard" if terminal.color else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def _draw(console: Console, table: Table, width: int) -> None:
    """Print one table."""
    from rich.text import Text

    cells = [
        [_brief(v, c.name, c.show) for v, c in zip(r, table.columns, strict=True)]
        for r in table.rows
    ]
    grid = grid_of(table, cells, _giving_way(table), width)
    console.print(Text(plain(table.title, _LONGEST), style="bold"))
    for line in grid.line([column.title for column in table.columns]):
        console.print(Text(line, style="bold"), soft_wrap=True)
    body = [grid.rule]
    for row in _without_repeats(table, cells):
        body.extend(grid.line(row))
    console.file.write("\n".join(body) + "\n\n")


def _giving_way(table: Table) -> Sequence[str]:
    """Columns in the order in which they are left out; of causes, the smallest first."""
    if table.name == "by_rank":
        return _OF_RANKS
    if table.name != "causes":
        return _GIVES_WAY
    sums = {
        column.name: sum(float(row[k] or 0) for row in table.rows)
        for k, column in enumerate(table.columns)
        if column.show == "us"
    }
    return sorted(sums, key=lambda name: sums[name])


def _without_repeats(table: Table, cells: list[list[str]]) -> list[list[str]]:
    """A name that stands in the row above is not said again."""
    if not table.columns or table.columns[0].name != "strategy":
        return cells
    result = [row[:] for row in cells]
    for above, row in zip(cells, result[1:], strict=False):
        if row[0] == above[0]:
            row[0] = ""
    return result


def _brief(value: Value, name: str, show: str) -> str:
    text = shown(value, show)
    if name in ("before", "after") and len(text) > 40:
        return text[:39] + "…"
    return text.rpartition("/")[2] if name == "trace" else text


def next_steps(report: Report) -> list[str]:
    """The next thing to type, for what was just shown."""
    import shlex

    asked = report.request
    if asked.by or asked.top or asked.definitions:
        return []
    measured = [t for t in report.traces if t.gaps and t.level("device") is not Level.INVALID]
    if not measured:
        return []
    worst = max(measured, key=lambda t: t.all_idle_ns)
    # A name that begins with a hyphen would be taken for an option.
    path = f"./{worst.path}" if worst.path.startswith("-") else worst.path
    command = f"{shlex.quote(asked.command)} gaps {shlex.quote(path)}"
    command = " ".join((command, *asked.narrowing))
    views = ("--by cause", "--top 5") if worst.calls_believed else ("--top 5",)
    return [f"{'Next:' if not k else '':5} {command} {view}" for k, view in enumerate(views)]


REPORTER = Reporter("table", (".txt",), "tables for a terminal", render)
