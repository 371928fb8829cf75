"""A comparison as tables, JSON, CSV and Markdown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from msgspec import structs

from .analysis.compare.comparison import Comparison
from .analysis.compare.gate import Gate
from .analysis.compare.verdict import Ratio
from .analysis.model.text import plain
from .analysis.reports.base import Column, Table, Terminal, Value, shown
from .analysis.reports.csv import comma_separated
from .analysis.reports.json import printable
from .analysis.reports.md import escape, markdown
from .analysis.reports.table import drawn

FORMATS = ("table", "json", "csv", "md")
COMPARISON_VERSION = 2
MARKS = {
    "better": "+ better",
    "worse": "- worse",
    "differs": "* differs",
    "these runs differ": "~ these differ",
    "negligible": "= negligible",
    "not significant": "= not significant",
    "too few": "? too few",
}


def render(found: Comparison, gated: Gate | None, format_name: str, terminal: Terminal) -> str:
    """The comparison as text, ending with a newline."""
    if format_name == "json":
        text = json.dumps(document(found, gated), indent=2, ensure_ascii=False)
        return printable(text + "\n")
    if format_name == "csv":
        return comma_separated(_machine(found))
    tables = [table for table in (_differences(found), *_ratios(found)) if table.rows]
    notes = [
        *(f"only in {found.before}: {key}" for key in found.only_before),
        *(f"only in {found.after}: {key}" for key in found.only_after),
        *found.notes,
    ]
    if format_name == "md":
        parts = [markdown(table) for table in tables]
        if notes:
            parts.append("\n".join(f"- {escape(note)}" for note in notes) + "\n")
        return "\n".join(parts)
    return drawn(tables, [(f"! {note}", "yellow") for note in notes], terminal)


def _differences(found: Comparison) -> Table:
    rows = [(key, _told(a), _told(b)) for key, a, b in found.differences]
    return Table(
        "differences",
        f"How {found.before} (before) and {found.after} (after) were made",
        (Column("key", "what"), Column("before", "before"), Column("after", "after")),
        tuple(rows),
        subject=("key", "before", "after"),
    )


def _told(value: Any) -> str:
    return "–" if value is None else plain(value if isinstance(value, str) else json.dumps(value))


def _ratios(found: Comparison) -> list[Table]:
    """One table a subject; metrics that are zero on both sides (a cause neither has) are left out,
    and what both sides have in their names is said once."""
    groups: dict[str, list[tuple[Value, ...]]] = {}
    for ratio in found.ratios:
        if not ratio.before and not ratio.after:
            continue
        interval = None
        largest = max(abs(ratio.before), abs(ratio.after))
        if ratio.low is not None and ratio.high is not None:
            interval = f"{ratio.low:.3f}..{ratio.high:.3f}"
        groups.setdefault(ratio.subject, []).append(
            (
                ratio.metric,
                _quantity(ratio.before, ratio.unit, largest),
                _quantity(ratio.after, ratio.unit, largest),
                ratio.ratio,
                interval,
                MARKS[ratio.verdict],
            )
        )
    columns = (
        Column("metric", "metric"),
        Column("before", "before", "cell"),
        Column("after", "after", "cell"),
        Column("ratio", "ratio", "ratio"),
        Column("interval", f"{100 * found.confidence:.5g}% interval"),
        Column("verdict", "verdict"),
    )
    return [
        Table(
            "ratios",
            f"{subject}: after / before",
            columns,
            tuple(rows),
            subject=("metric", "before", "after", "verdict"),
            gives_way=("interval", "ratio"),
        )
        for subject, rows in groups.items()
    ]


def _quantity(value: float, unit: str, largest: float) -> str:
    """A figure with its unit, the same on both sides; `largest`: the larger of the two."""
    if unit == "ns":
        return f"{value / 1e3:,.1f} µs" if largest < 1e7 else f"{value / 1e6:,.2f} ms"
    if unit == "bytes":
        return f"{shown(value, 'gb')} GB"
    return f"{value:,.4g} {unit}" if value < 1e4 else f"{value:,.0f} {unit}"


_NAMES = (
    "subject", "metric", "unit", "better", "before", "after", "runs_before", "runs_after",
    "ratio", "low", "high", "p", "p_adjusted", "verdict", "method", "spread_known", "gate",
)  # fmt: skip


def _row(ratio: Ratio) -> dict[str, Any]:
    data = structs.asdict(ratio)
    data["runs_before"], data["runs_after"] = data.pop("runs")
    return {name: data[name] for name in _NAMES}


def _machine(found: Comparison) -> Table:
    rows = []
    for ratio in found.ratios:
        row = _row(ratio) | {name: int(getattr(ratio, name)) for name in ("spread_known", "gate")}
        rows.append(tuple(_exact(row[name]) for name in _NAMES))
    return Table("ratios", "", tuple(Column(name, name) for name in _NAMES), tuple(rows))


def _exact(value: Any) -> Value:
    # Ratios and p values lose their meaning when rounded to thousandths.
    return f"{value:.6g}" if isinstance(value, float) else value


def document(found: Comparison, gated: Gate | None) -> dict[str, Any]:
    """The comparison as plain data; docs/bench.md describes the names."""
    return {
        "comparison_version": COMPARISON_VERSION,
        "before": found.before,
        "after": found.after,
        "confidence": found.confidence,
        "differences": [{"key": key, "before": a, "after": b} for key, a, b in found.differences],
        "ratios": [_row(ratio) for ratio in found.ratios],
        "only_before": list(found.only_before),
        "only_after": list(found.only_after),
        "regressions": _names(gated.regressions if gated else ()),
        "unjudged": _names(gated.unjudged if gated else ()),
        "notes": list(found.notes),
    }


def _names(ratios: Sequence[Ratio]) -> list[list[str]]:
    return [[ratio.subject, ratio.metric] for ratio in ratios]
