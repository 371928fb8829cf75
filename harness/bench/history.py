"""What `harness results` shows: sessions, one session, or the cells that match."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..analysis.reports.base import Column, Table, Terminal
from ..analysis.reports.csv import comma_separated
from ..errors.options import OptionsConflict
from .errors import NotInResults
from .figures import Figures, load
from .render import document, flat, render, text
from .results_file import RESULTS_VERSION
from .store import Store


def show(
    path: Path,
    terminal: Terminal,
    *,
    session: str | None,
    strategies: tuple[str, ...],
    batch_size: int | None,
    max_seqlen: int | None,
    model: str | None,
    device_name: str | None,
    label: str | None,
    since: str | None,
    format_name: str,
) -> str:
    """The text for these filters. Raises HarnessError where nothing matches."""
    names = {part.strip() for words in strategies for part in words.split(",")}
    cell_filters = {
        "strategy": names or None,
        "batch_size": batch_size,
        "max_new_tokens": max_seqlen,
        "model": model,
    }
    filtered = any(value is not None for value in cell_filters.values())
    if session is not None and (filtered or device_name or label or since):
        raise OptionsConflict("--session shows a session in full", remedy="leave the filters out")
    with Store.reading(path) as store:
        if session is not None:
            figures = load(store, None if session == "last" else session)
            return render(figures, format_name, terminal)
        rows = [
            row
            for row in store.sessions()
            if (label is None or row["label"] == label)
            and (since is None or row["started_at"] >= since)
        ]
        found = [load(store, row["id"]) for row in rows]
    if device_name is not None:
        wanted = device_name.lower()
        found = [f for f in found if wanted in str(f.device.get("name", "")).lower()]
    if not filtered:
        if not found:
            raise NotInResults(f"{path} has no such session", remedy="leave a filter out")
        return _sessions(found, format_name, terminal)
    return _cells(found, cell_filters, path, format_name, terminal)


def _sessions(found: list[Figures], format_name: str, terminal: Terminal) -> str:
    if format_name == "json":
        return _json("sessions", [document(figures)["session"] for figures in found])
    rows = tuple(
        (
            figures.session["id"],
            figures.session["status"],
            figures.session["label"],
            figures.device.get("name"),
            figures.session["preset"],
            len(figures.cells),
            sum(len(cell.runs) for cell in figures.cells.values()),
        )
        for figures in found
    )
    columns = (
        Column("session", "session"),
        Column("status", "status"),
        Column("label", "label"),
        Column("device_name", "device"),
        Column("preset", "preset"),
        Column("cells", "cells", "int"),
        Column("runs", "runs", "int"),
    )
    table = Table("sessions", "Sessions, oldest first", columns, rows)
    if format_name == "csv":
        return comma_separated(table)
    return text([table], [], [], format_name, terminal)


_SHOWN = (
    "session", "strategy", "batch_size", "max_new_tokens", "runs", "median_ns", "tokens_per_s",
    "step_ns", "error",
)  # fmt: skip


def _cells(
    found: list[Figures],
    filters: dict[str, Any],
    path: Path,
    format_name: str,
    terminal: Terminal,
) -> str:
    table = flat(found)
    names = [column.name for column in table.columns]

    def fits(row: tuple[Any, ...]) -> bool:
        for name, wanted in filters.items():
            value = row[names.index(name)]
            if wanted is not None and value not in (
                wanted if isinstance(wanted, set) else {wanted}
            ):
                return False
        return True

    rows = tuple(row for row in table.rows if fits(row))
    if not rows:
        there = sorted({str(row[names.index("strategy")]) for row in table.rows})
        raise NotInResults(
            f"no cell of {path} matches", remedy=f"it has {', '.join(there) or 'no cells'}"
        )
    table = Table(table.name, table.title, table.columns, rows)
    if format_name == "csv":
        return comma_separated(table)
    if format_name == "json":
        return _json("cells", [dict(zip(names, row, strict=True)) for row in rows])
    keep = [names.index(name) for name in _SHOWN]
    brief = Table(
        table.name,
        table.title,
        tuple(table.columns[k] for k in keep),
        tuple(tuple(row[k] for k in keep) for row in rows),
    )
    return text([brief], [], [], format_name, terminal)


def _json(name: str, rows: list[Any]) -> str:
    found = {"results_version": RESULTS_VERSION, name: rows}
    return json.dumps(found, indent=2, ensure_ascii=False) + "\n"
