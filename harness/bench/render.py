"""A session as text: tables for a terminal, Markdown, CSV with one row a cell, or JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from msgspec import structs

from ..analysis.reports.base import Column, Table, Terminal, Value
from ..analysis.reports.csv import comma_separated
from ..analysis.reports.md import escape, markdown
from ..analysis.reports.table import drawn
from ..analysis.statistics.interval import Interval
from .advice import warnings
from .figures import CellFigures, Figures
from .results_file import RESULTS_VERSION
from .store import Json
from .tables import tables


def render(figures: Figures, format_name: str, terminal: Terminal) -> str:
    """The whole text, ending with a newline."""
    if format_name == "json":
        return json.dumps(document(figures), indent=2, ensure_ascii=False) + "\n"
    if format_name == "csv":
        return comma_separated(flat([figures]))
    lead = [headline(figures), *_legend(figures)]
    advice = [warning.line for warning in warnings(figures)]
    return text(tables(figures), lead, advice, format_name, terminal)


def text(
    found: Sequence[Table],
    lead: Sequence[str],
    advice: Sequence[str],
    format_name: str,
    terminal: Terminal,
) -> str:
    """Lead lines, tables and warnings as a terminal's table or as Markdown."""
    if format_name == "md":
        parts = [
            *(f"{escape(line)}\n" for line in lead),
            *(markdown(_brief(table)) for table in found),
        ]
        if advice:
            parts.append("\n".join(f"- {escape(line)}" for line in advice) + "\n")
        return "\n".join(parts)
    lines = [(f"! {line}", "yellow") for line in advice]
    head = "".join(f"{line}\n" for line in lead) + "\n" if lead else ""
    return head + drawn([_brief(table) for table in found], lines, terminal)


def _brief(table: Table) -> Table:
    """Leave out columns without a value, and say in the title what is the same in every row."""
    keep, same = [], ""
    for k, column in enumerate(table.columns):
        values = {row[k] for row in table.rows}
        if column.name in ("batch_size", "max_new_tokens") and len(values) == 1:
            same += f", {column.title} {values.pop()}"
        elif values != {None}:
            keep.append(k)
    return structs.replace(
        table,
        title=table.title + same,
        columns=tuple(table.columns[k] for k in keep),
        rows=tuple(tuple(row[k] for k in keep) for row in table.rows),
    )


def headline(figures: Figures) -> str:
    """Where and how this was measured, in one line."""
    session, device = figures.session, figures.device
    versions = Json(figures.workers[0]["versions"]).value({}) if figures.workers else {}
    name = device.get("name", "nothing measured")
    runs = sum(len(cell.runs) for cell in figures.cells.values())
    return (
        f"Session {session['id']} ({session['status']}): {runs} runs of "
        f"{len(figures.cells)} cells on {name}, torch {versions.get('torch')}, "
        f"transformers {versions.get('transformers')}; measured, no profiler"
    )


def _legend(figures: Figures) -> list[str]:
    """How to read the columns: where floors come from, what the intervals are."""
    measured = [cell for cell in figures.cells.values() if cell.runs]
    sources = dict.fromkeys(
        cell.floor.source + ("" if cell.floor.ns else " (of floor: n/a)") for cell in measured
    )
    if not measured:
        return []
    return [
        f"Floor: {'; '.join(sources)}. Intervals: bootstrap over runs; ratios round by round "
        "where 6 rounds are shared.",
    ]


_FLAT = (
    Column("session", "session"),
    Column("started_at", "started"),
    Column("device_name", "device"),
    Column("strategy", "strategy"),
    Column("batch_size", "batch", "int"),
    Column("max_new_tokens", "tokens", "int"),
    Column("model", "model"),
    Column("dtype", "dtype"),
    Column("runs", "runs", "int"),
    Column("mean_ns", "mean s", "s"),
    Column("std_ns", "std s", "s"),
    Column("min_ns", "min s", "s"),
    Column("max_ns", "max s", "s"),
    Column("median_ns", "median s", "s"),
    Column("median_low_ns", "low", "s"),
    Column("median_high_ns", "high", "s"),
    Column("median_confidence", "confidence", "percent"),
    Column("tokens_per_s", "tokens/s", "number"),
    Column("step_ns", "step µs", "us"),
    Column("floor_ns", "floor µs", "us"),
    Column("floor_share", "of floor", "percent"),
    Column("steps_executed", "executed", "int"),
    Column("steps_kept", "kept", "int"),
    Column("peak_allocated_bytes", "allocated GB", "gb"),
    Column("peak_reserved_bytes", "reserved GB", "gb"),
    Column("fragmentation_bytes", "fragm. GB", "gb"),
    Column("fragmentation_share", "of reserved", "percent"),
    Column("allocation_retries", "retries", "int"),
    Column("prepare_ns", "prepare s", "s"),
    Column("compile_ns", "compile s", "s"),
    Column("capture_ns", "capture s", "s"),
    Column("error", "error"),
)


def flat(sessions: Sequence[Figures]) -> Table:
    """One row a cell, every figure; what cannot be given is empty."""
    rows = []
    for figures in sessions:
        for cell in figures.cells.values():
            row: dict[str, Value] = {
                **_figures(cell),
                "session": figures.session["id"],
                "started_at": figures.session["started_at"],
                "device_name": figures.device.get("name"),
                "strategy": cell.strategy,
                "error": cell.error,
                **{k: cell.cell[k] for k in ("batch_size", "max_new_tokens", "model", "dtype")},
            }
            rows.append(tuple(row[column.name] for column in _FLAT))
    return Table("cells", "Cells", _FLAT, tuple(rows))


def _figures(cell: CellFigures) -> dict[str, Value]:
    wall, median = cell.wall, cell.median
    some = len(wall) > 0
    return {
        "runs": len(wall),
        "mean_ns": float(wall.mean()) if some else None,
        "std_ns": cell.std_ns,
        "min_ns": int(wall.min()) if some else None,
        "max_ns": int(wall.max()) if some else None,
        "median_ns": cell.median_ns,
        **_interval(median),
        "tokens_per_s": float(np.median(cell.tokens_per_s)) if some else None,
        "step_ns": cell.step_ns,
        "floor_ns": cell.floor.ns,
        "floor_share": cell.floor_share,
        "steps_executed": cell.most("steps_executed"),
        "steps_kept": cell.most("steps_kept"),
        "peak_allocated_bytes": cell.most("peak_allocated_bytes"),
        "peak_reserved_bytes": cell.most("peak_reserved_bytes"),
        "fragmentation_bytes": cell.fragmentation_bytes,
        "fragmentation_share": cell.fragmentation_share,
        "allocation_retries": cell.most("allocation_retries"),
        "prepare_ns": cell.prepare_ns,
        "compile_ns": cell.compile_ns,
        "capture_ns": cell.capture_ns,
    }


def _interval(found: Interval | None) -> dict[str, Value]:
    if found is None:
        return dict.fromkeys(("median_low_ns", "median_high_ns", "median_confidence"))
    return {
        "median_low_ns": found.low,
        "median_high_ns": found.high,
        "median_confidence": found.confidence,
    }


_RUN = (
    "round", "place", "started_at", "wall_ns", "prefill_ns", "decode_ns", "steps_executed",
    "steps_needed", "steps_kept", "peak_allocated_bytes", "peak_reserved_bytes",
    "allocation_retries", "device_allocations", "compiled_in_run", "prepare_ns", "compile_ns",
    "capture_ns", "tokens_sha256",
)  # fmt: skip


def document(figures: Figures) -> dict[str, Any]:
    """Everything as plain data; docs/bench.md describes the names."""
    session = dict(figures.session)
    for name in ("plan", "argv", "host", "git"):
        session[name] = Json(session[name]).value(None)
    return {
        "results_version": RESULTS_VERSION,
        "origin": "measured",
        "session": session,
        "device": figures.device,
        "workers": [
            {
                **worker,
                **{k: Json(worker[k]).value(None) for k in ("device", "versions", "environment")},
            }
            for worker in figures.workers
        ],
        "warnings": warnings(figures),
        "cells": [_cell(cell) for cell in figures.cells.values()],
        "sections": [
            {
                "name": table.name,
                "title": table.title,
                "rows": [
                    dict(zip([c.name for c in table.columns], row, strict=True))
                    for row in table.rows
                ],
            }
            for table in tables(figures)
        ],
    }


def _cell(cell: CellFigures) -> dict[str, Any]:
    skipped = ("id", "session", "position", "workload", "floor_work")
    return {
        **{name: value for name, value in cell.cell.items() if name not in skipped},
        "workload": Json(cell.cell["workload"]).value({}),
        "floor": dataclasses.asdict(cell.floor),
        "figures": _figures(cell),
        "runs": [
            {
                **{name: run[name] for name in _RUN},
                "warmup_ns": Json(run["warmup_ns"]).value([]),
            }
            for run in cell.runs
        ],
    }
