"""The neutral tables of `harness gaps`, as cells for the page."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from msgspec import Struct

from .base import Report, Table, Value, shown
from .layout import columns_named, legible, repeated
from .tables import (
    bare,
    calibration,
    census,
    definitions,
    devices,
    drained,
    gains,
    host_steps,
    idle_causes,
    overview,
    pooled,
)


class Cell(Struct, frozen=True):
    """`raw` is the exact value, ns for durations; `text` what a person reads."""

    text: str
    raw: str
    number: bool


class Grid(Struct, frozen=True):
    """One table of the page."""

    name: str
    title: str
    columns: tuple[tuple[str, str, bool], ...]
    """(machine's name, title, whether it holds numbers)."""
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()


def grid(report: Report, table: Table, names: Collection[str] = ()) -> Grid:
    """A neutral table as cells; columns that say nothing are left out, `names` as there."""
    kept = columns_named(report, legible(table, names))
    return Grid(
        kept.name,
        kept.title,
        tuple((c.name, c.title, c.show != "text") for c in kept.columns),
        tuple(
            tuple(_cell(v, c.name, c.show) for v, c in zip(row, kept.columns, strict=True))
            for row in kept.rows
        ),
        tuple(kept.said(kept.columns)),
    )


def _cell(value: Value, name: str, show: str) -> Cell:
    text = shown(value, show)
    if name == "trace":
        # The folder is the owner's own business.
        text = text.rpartition("/")[2]
        return Cell(text, text, False)
    # A word in place of a number, as for all GPUs together, has no exact value.
    raw = "" if value is None or isinstance(value, str) else repr(value)
    return Cell(text, raw if show != "text" else text, show != "text")


def comparison(report: Report) -> list[Grid]:
    """Steps, causes and drains of all traces: what `harness gaps` prints."""
    made = [gains(report), overview(report), idle_causes(report), drained(report)]
    if len({t.label for t in report.traces}) < len(report.traces):
        made.append(pooled(report))
    return _grids(report, made)


def more_tables(report: Report) -> list[Grid]:
    """Devices, host step times, processes, the profiler's cost, and other definitions of idle."""
    made = [
        devices(report),
        host_steps(report),
        census(report),
        bare(report),
        calibration(report),
        definitions(report),
    ]
    return _grids(report, made)


def _grids(report: Report, made: Sequence[Table]) -> list[Grid]:
    names = repeated(report)
    return [grid(report, table, names) for table in made if table.rows]
