"""Tables for a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ..answer.compose import answer_of
from ..answer.next_commands import gaps_command
from ..model.text import plain
from ..verdicts.judge import Level
from .answers import answer_lines, wanted
from .base import Report, Reporter, Table, Terminal, shown
from .grid import grid_of
from .layout import chosen_lines, columns_named, folded, legible, repeated, verdict_lines
from .tables import rank_lines, tables

if TYPE_CHECKING:
    from rich.console import Console

_GIVES_WAY = (
    # Columns left out, in this order, until a table fits the terminal.
    "remedy", "gpu_start_ns", "meaning", "idle_max_ns", "gap_p95_ns", "host_ns",
    "idle_p99_ns", "intra_ns", "note", "busy_ns", "inter_ns", "gap_p50_ns", "idle_p50_ns",
    "device_name", "gap_p99_ns", "kind", "mostly_in", "idle_p95_ns",
    "communication_ns", "gap_max_ns", "drained_by", "gpu_ns", "window_ns",
    "before", "host_step_p95_ns", "host_step_p50_ns", "host_period_max_ns", "host_period_p95_ns",
    "recorded_idle_ns", "profiler_added_share", "corrected_idle_share",
    "corrected_idle_low_ns", "corrected_idle_high_ns",
)  # fmt: skip
_LAST = (
    "share_of_idle", "mostly_in", "cause", "step", "steady_steps", "traces", "operations",
    "gain_ns", "gain_kind", "idle_share", "pattern", "after", "trace",
)  # fmt: skip
"""Columns left out where the terminal is too narrow even for names that are folded."""
_LONGEST = 2000
"""Characters of a title, of a note, or of a line below the tables."""
_OF_RANKS = (
    "trace", "pattern", "pid", "device", "rank_from", "collectives", "alone_ns", "compute_ns",
    "communication_ns", "extra_ns", "steps", "last_share", "extra_cause", "idle_ns", "job",
)  # fmt: skip


def render(report: Report, terminal: Terminal) -> str:
    """Tables, verdicts, and what to type next; fits `terminal.width`."""
    answer = answer_lines(report, terminal.width)
    lines = [
        (f"! {line}", "red" if " invalid)" in line or line.startswith("failed") else "yellow")
        for line in verdict_lines(report)
    ]
    lines = [(line, "") for line in (*chosen_lines(report), *rank_lines(report))] + lines
    lines += [(line, "bold") for line in next_steps(report)]
    names = repeated(report)
    shown_tables = [columns_named(report, legible(table, names)) for table in tables(report)]
    text = drawn(shown_tables, lines, terminal)
    return drawn([], answer, terminal) + "\n" + text if answer else text


def drawn(tables: Sequence[Table], lines: Sequence[tuple[str, str]], terminal: Terminal) -> str:
    """Tables, then lines of (text, style), as text that fits `terminal.width`.

    Lines of style "bold" are commands: they are never folded, so that they can be copied.
    """
    from rich.text import Text

    file = io.StringIO()
    console = open_console(file, terminal)
    files = _file_names(tables)
    for table in tables:
        _draw(console, table, terminal.width, files)
    for line, style in lines:
        bold, told = style.partition("-")[0], plain(line, _LONGEST)
        if style == "bold":
            console.print(Text(told, style=bold), soft_wrap=True)
        else:
            _print(console, told, bold)
    return "\n".join(line.rstrip() for line in file.getvalue().split("\n"))


def _print(console: Console, text: str, style: str = "") -> None:
    """A line, folded where the terminal ends."""
    from rich.text import Text

    for line in folded(text, console.width) or [""]:
        console.print(Text(line, style=style))


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


def _draw(console: Console, table: Table, width: int, files: Mapping[str, str]) -> None:
    """Print one table; `files` are the names of traces by their paths."""
    from rich.text import Text

    cells = [
        [
            files[str(v)] if c.name == "trace" else shown(v, c.show)
            for v, c in zip(r, table.columns, strict=True)
        ]
        for r in table.rows
    ]
    grid = grid_of(table, cells, _giving_way(table), width, _LAST)
    _print(console, plain(table.title, _LONGEST), "bold")
    for line in grid.head([column.title for column in table.columns]):
        console.print(Text(line, style="bold"), soft_wrap=True)
    body = [grid.rule]
    for row in _without_repeats(table, cells):
        body.extend(grid.line(row))
    console.file.write("\n".join(body) + "\n")
    for note in table.said([table.columns[k] for k in grid.chosen]):
        _print(console, plain(note, _LONGEST))
    console.print()


def _giving_way(table: Table) -> Sequence[str]:
    """Columns in the order in which they are left out, those first that others say already; of
    causes, the smallest first."""
    return (*_implied(table), *_usual(table))


def _implied(table: Table) -> list[str]:
    """The columns of threads, where strategy, trace and GPU tell their rows apart without them."""
    names = [column.name for column in table.columns]
    told = [k for k, name in enumerate(names) if name in ("strategy", "trace", "device")]
    keys = [tuple(row[k] for k in told) for row in table.rows]
    found: list[str] = []
    for k, name in enumerate(names):
        if name in ("pid", "tid", "pattern"):
            values = {(key, row[k]) for key, row in zip(keys, table.rows, strict=True)}
            if len(values) == len(set(keys)):
                found.append(name)
    return found


def _usual(table: Table) -> Sequence[str]:
    if table.gives_way:
        return table.gives_way
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


def _file_names(tables: Sequence[Table]) -> dict[str, str]:
    """What to call each trace: its file's name, with as many folders as tell it from the others."""
    parts: dict[str, list[str]] = {}
    for table in tables:
        for k in (k for k, column in enumerate(table.columns) if column.name == "trace"):
            parts |= {str(row[k]): str(row[k]).split("/") for row in table.rows}
    short: dict[str, str] = {}
    for depth in range(1, max(map(len, parts.values()), default=0) + 1):
        short = {path: "/".join(names[-depth:]) for path, names in parts.items()}
        if len(set(short.values())) == len(short):
            break
    return {path: plain(name) for path, name in short.items()}


def next_steps(report: Report) -> list[str]:
    """The next thing to type, for what was just shown."""
    import shlex

    measured = [t for t in report.traces if t.gaps and t.level("device") is not Level.INVALID]
    if not wanted(report) or not measured:
        return []
    worst = max(measured, key=lambda trace: answer_of(trace).idle)
    typed = report.question.typed()
    commands = answer_of(worst, typed).commands
    if len(report.traces) > 1:
        # Of one trace alone the whole answer is told.
        commands = (gaps_command(worst, typed), *commands)
    begin = shlex.quote(report.command)
    return [f"{'Next:' if not k else '':5} {begin} {one}" for k, one in enumerate(commands)]


REPORTER = Reporter("table", (".txt",), "tables for a terminal", render)
