"""The strategies and choices as a table, or as plain values."""

from __future__ import annotations

from typing import Any, TextIO

from .availability import unavailable_reason
from .registry import (
    KINDS,
    choice_class,
    choice_names,
    host_syncs_of,
    is_safe,
    needs_of,
    strategies,
)
from .strategy import Strategy

Rows = tuple[tuple[str, ...], list[tuple[str, ...]]]


def as_values(device: str) -> dict[str, Any]:
    """Everything, for `--json`."""
    return {
        "listing_version": 1,
        "device": device,
        "strategies": [_values(found, device) for found in strategies()],
        "choices": {
            kind: {name: choice_class(kind, name).summary for name in choice_names(kind)}
            for kind in KINDS
        },
    }


def _values(strategy: Strategy, device: str) -> dict[str, Any]:
    syncs = host_syncs_of(strategy)
    return {
        "name": strategy.name,
        "summary": strategy.summary,
        "choices": strategy.choices,
        "engine": strategy.engine,
        "needs": list(needs_of(strategy)),
        "safe": is_safe(strategy),
        "host_reads_per_step": syncs.reads,
        "host_event_waits_per_step": syncs.event_waits,
        "unavailable_reason": unavailable_reason(strategy, device),
    }


def strategy_rows(device: str) -> Rows:
    """Header and one row a strategy; why one cannot run on `device` stands behind its summary."""
    rows: list[tuple[str, ...]] = []
    for found in strategies():
        summary = found.summary if is_safe(found) else f"UNSAFE: {found.summary}"
        reason = unavailable_reason(found, device)
        here = "no" if reason else "yes"
        if reason:
            summary += f" (not here: {reason})"
        rows.append((found.name, str(host_syncs_of(found)), here, summary))
    return ("strategy", "host syncs/step", "here", "what it does"), rows


def choice_rows() -> Rows:
    """Header and one row a choice."""
    rows: list[tuple[str, ...]] = [
        (f"--{kind.replace('_', '-')}", name, choice_class(kind, name).summary)
        for kind in KINDS
        for name in choice_names(kind)
    ]
    return ("option", "choice", "what it does"), rows


def show(rows: Rows, out: TextIO) -> None:
    """A table that wraps on a terminal; in a pipe aligned columns, one line a row, nothing cut."""
    header, body = rows
    if out.isatty():
        from rich.console import Console
        from rich.table import Table

        table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold")
        for name in header:
            table.add_column(name, no_wrap=name != header[-1])
        for row in body:
            table.add_row(*row)
        # Without markup: `nsys-harness[strategies]` would lose its extra.
        Console(file=out, markup=False, emoji=False).print(table, soft_wrap=False)
        return
    widths = [max(len(row[i]) for row in [header, *body]) for i in range(len(header) - 1)]
    for row in [header, *body]:
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        out.write("  ".join([*cells, row[-1]]) + "\n")
