"""A first look into a fresh export: is there anything in it that the harness was asked to record?

Deliberately small: reading traces is the analysis's work.
"""

from __future__ import annotations

import contextlib
import re
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from ..analysis.model.evidence import is_evidence
from ..analysis.model.step_ranges import SPAN, STEP
from .errors import NoTraceWritten

_STEP, _SPAN = (
    # As many digits as int64 surely holds: what is longer is a name and no number.
    re.compile(re.escape(form).replace(r"\{\}", r"(\d{1,18})") + r"\Z")
    for form in (STEP, SPAN)
)
_GPU_TABLES = (
    "CUPTI_ACTIVITY_KIND_KERNEL",
    "CUPTI_ACTIVITY_KIND_MEMCPY",
    "CUPTI_ACTIVITY_KIND_MEMSET",
    "CUPTI_ACTIVITY_KIND_GRAPH_TRACE",
)
_PUSH_POP, _START_END = 59, 60


@dataclass(frozen=True)
class Contents:
    """Counts of closed NVTX ranges, of the steps that the harness's own stand for (one a `Step N`,
    B - A a `Steps A:B`), and of GPU rows.

    `names` are the most frequent range names with their counts, digits in them shown as N.
    """

    steps: int
    ranges: int
    gpu_rows: int
    names: tuple[tuple[str, int], ...]


def look_into(sqlite: Path) -> Contents:
    """Count what is in an export; CaptureError where it is no database."""
    try:
        with contextlib.closing(sqlite3.connect(f"{sqlite.as_uri()}?mode=ro", uri=True)) as base:
            # A program may name its ranges by bytes that are no text: read as the analysis does.
            base.text_factory = lambda raw: raw.decode("utf-8", "replace")
            tables = {name for (name,) in base.execute("SELECT name FROM sqlite_master")}
            counts = _range_counts(base) if {"NVTX_EVENTS", "StringIds"} <= tables else {}
            gpu_rows = sum(
                base.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
                for table in _GPU_TABLES
                if table in tables
            )
    except sqlite3.Error as error:
        raise NoTraceWritten(f"the exported SQLite cannot be read: {error}") from error
    patterns: dict[str, int] = {}
    for name, count in counts.items():
        pattern = re.sub(r"\d+", "N", name)
        patterns[pattern] = patterns.get(pattern, 0) + count
    names = sorted(patterns.items(), key=lambda item: (-item[1], item[0]))[:5]
    return Contents(
        steps=sum(count * _steps_of(name) for name, count in counts.items()),
        ranges=sum(counts.values()),
        gpu_rows=gpu_rows,
        names=tuple(names),
    )


def _steps_of(name: str) -> int:
    if span := _SPAN.match(name):
        return max(0, int(span[2]) - int(span[1]))
    return 1 if _STEP.match(name) else 0


def _range_counts(base: sqlite3.Connection) -> dict[str, int]:
    rows = base.execute(
        "SELECT CAST(COALESCE(s.value, n.text, '') AS TEXT), count(*) FROM NVTX_EVENTS n "
        "LEFT JOIN StringIds s ON s.id = n.textId "
        "WHERE n.eventType IN (?, ?) AND n.end IS NOT NULL GROUP BY 1",
        (_PUSH_POP, _START_END),
    )
    counts: dict[str, int] = {}
    for name, count in rows:  # names of other bytes may read alike
        if not is_evidence(name):
            counts[name] = counts.get(name, 0) + count
    return counts
