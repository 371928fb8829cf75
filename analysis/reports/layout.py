"""How tables shrink to what a person needs: columns that say nothing are left out."""

from __future__ import annotations

import re
import textwrap
from collections import Counter
from collections.abc import Collection

from msgspec.structs import replace

from ..model.short_names import shortened
from ..model.text import plain
from ..verdicts.judge import Level
from .base import Report, Table, Value
from .tables.notes import listed
from .tables.place import file_name, name_of, of_strategies

LONGEST = 40
"""Characters of an operation's name in a table."""
_NOT_MEASURED = ("(simulated)", "(synthetic)")
_ALWAYS_HIDDEN = frozenset({"device_uuid"})
_HIDE_WHEN_SAME = frozenset({"device", "trace", "job", "rank_from"})
_HIDE_WHEN_ONE_A_TRACE = frozenset({"pid", "tid", "pattern"})
_HIDE_WHEN_ONE_TRACE = frozenset(
    {"gains", "by_step", "by_cause", "top_gaps", "definitions", "by_stream"}
)
_HIDE_WHEN_EMPTY = frozenset(
    {
        "communication_ns",
        "context",
        "device_name",
        "diagnostics",
        "drained_by",
        "mostly_in",
        "step",
        "kind",
        "intra_ns",
        "inter_ns",
        "recorded_idle_ns",
        "corrected_idle_ns",
        "corrected_idle_share",
        "corrected_idle_low_ns",
        "corrected_idle_high_ns",
        "extra_cause",
        "extra_ns",
    }
)


def repeated(report: Report) -> frozenset[str]:
    """Names that several of the traces have: alone they do not say which trace a row is of."""
    count = Counter(name_of(trace) for trace in report.traces)
    return frozenset(name for name, traces in count.items() if traces > 1)


def legible(table: Table, names: Collection[str] = ()) -> Table:
    """Drop columns that are the same in every row, empty, or zero.

    A name that says `simulated` or `synthetic` moves into the title. Where a row has one of
    `names`, which several traces have, the trace stays.
    """
    keep = []
    title = table.title
    at = [k for k, column in enumerate(table.columns) if column.name == "strategy"]
    ambiguous = any(row[k] in names for k in at for row in table.rows)
    for k, column in enumerate(table.columns):
        values = [row[k] for row in table.rows]
        distinct = set(values)
        if column.name in _ALWAYS_HIDDEN:
            continue
        if column.name == "trace" and ambiguous and table.name != "by_rank":
            keep.append(k)
            continue
        if column.name in _HIDE_WHEN_SAME and len(distinct) == 1:
            continue
        if column.name in _HIDE_WHEN_ONE_A_TRACE and _one_a_trace(table, k):
            continue
        if column.name == "strategy" and len(distinct) == 1 and table.name in _HIDE_WHEN_ONE_TRACE:
            name = str(values[0])
            if name.endswith(_NOT_MEASURED):
                title += f" · {plain(name, 60)}"
            continue
        if column.name == "strategy" and table.name == "by_rank":
            # The rank tells the rows apart; what was not measured still says so.
            marks = {mark for mark in _NOT_MEASURED for v in values if str(v).endswith(mark)}
            title += "".join(f" {mark}" for mark in sorted(marks))
            continue
        if column.name == "trace" and (table.name == "by_rank" or _told_apart(table)):
            continue
        if column.name in _HIDE_WHEN_EMPTY and not any(distinct):
            continue
        if table.name == "causes" and column.name.endswith("_ns") and not any(distinct):
            continue
        keep.append(k)
    cells = _names_cut(table)
    return replace(
        table,
        title=title,
        columns=tuple(table.columns[k] for k in keep),
        rows=tuple(tuple(row[k] for k in keep) for row in cells),
    )


def _names_cut(table: Table) -> tuple[tuple[Value, ...], ...]:
    """The rows, with names of kernels cut where the table names operations."""
    if table.name != "top_gaps":
        return table.rows
    at = [k for k, column in enumerate(table.columns) if column.name in ("before", "after")]
    names = list(dict.fromkeys(str(row[k]) for row in table.rows for k in at))
    short: dict[str, str] = dict(zip(names, shortened(names, LONGEST), strict=True))
    return tuple(
        tuple(short[str(value)] if k in at else value for k, value in enumerate(row))
        for row in table.rows
    )


def _one_a_trace(table: Table, column: int) -> bool:
    """Whether the column says nothing that the trace's name does not say."""
    names = [c.name for c in table.columns]
    trace = names.index("trace") if "trace" in names else None
    values: dict[object, set[object]] = {}
    for row in table.rows:
        values.setdefault(None if trace is None else row[trace], set()).add(row[column])
    return all(len(found) == 1 for found in values.values())


def _told_apart(table: Table) -> bool:
    """Whether the strategy alone tells the traces apart."""
    names = [c.name for c in table.columns]
    if "strategy" not in names or "trace" not in names:
        return False
    pairs = {(row[names.index("strategy")], row[names.index("trace")]) for row in table.rows}
    return len({strategy for strategy, _ in pairs}) == len(pairs)


def columns_named(report: Report, table: Table) -> Table:
    """The same with the column `strategy` headed `trace`, unless every trace is of a strategy of
    ours: a loop of one's own has none."""
    if of_strategies(report.traces) or "trace" in [column.title for column in table.columns]:
        return table
    named = (replace(c, title="trace") if c.name == "strategy" else c for c in table.columns)
    return replace(table, columns=tuple(named))


_UNIT = re.compile(r"(?<=\d) (?=(?:ns|µs|ms|s)\b)")
_HELD = "\N{NO-BREAK SPACE}"


def folded(text: str, width: int, indent: str = "") -> list[str]:
    """Lines of at most `width` unless a word is longer, a figure with its unit in one; `indent`
    stands before all but the first."""
    lines = textwrap.wrap(
        _UNIT.sub(_HELD, text),
        max(width, 20),
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace(_HELD, " ") for line in lines]


def chosen_lines(report: Report) -> list[str]:
    """What was taken for steps where nobody named them: one line for all traces that say the same,
    the traces named where they differ."""
    said: dict[str, list[str]] = {}
    for trace in report.by_label:
        if trace.chosen and trace.chosen.said:
            said.setdefault(trace.chosen.said, []).append(file_name(trace))
    alone = len(said) == 1 and sum(map(len, said.values())) == len(report.traces)
    return [
        plain((line[0].upper() + line[1:]) if alone else f"{', '.join(names)}: {line}", 2000)
        for line, names in said.items()
    ]


def verdict_lines(report: Report) -> list[str]:
    """One line a verdict, those of one trace worst first; what holds of several is said once."""
    said: dict[str, list[str]] = {}
    order = [Level.INVALID, Level.DEGRADED]
    for trace in report.by_label:
        name = file_name(trace)
        for verdict in sorted(trace.verdicts, key=lambda v: order.index(v.level)):
            line = f"{verdict.code} ({verdict.figures} {verdict.level}): {verdict.reason}"
            line += f". {verdict.remedy[0].upper()}{verdict.remedy[1:]}."
            names = said.setdefault(line, [])
            if name not in names:
                names.append(name)
    several = len(report.traces) > 1
    lines = [
        plain(f"{listed(names)}: {line}" if several else line, 2000) for line, names in said.items()
    ]
    lines.extend(plain(f"failed: {failure.error}", 2000) for failure in report.failures)
    return lines
