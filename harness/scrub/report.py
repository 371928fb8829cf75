"""What was done to a trace, as data and for a person."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .removed import Searched
from .search import SHORTEST


@dataclass(frozen=True)
class Scrubbed:
    """What was done: (table, rows) emptied and dropped, strings left out of how many."""

    output: Path
    manifest: Path | None
    kept: tuple[tuple[str, int], ...]
    emptied: tuple[tuple[str, int], ...]
    dropped: tuple[tuple[str, int], ...]
    strings: tuple[int, int] | None
    """None for a format without a table of them."""
    searched: Searched
    short: int


def told(done: Scrubbed) -> str:
    """The report, for a person."""
    found = done.searched
    shared = f", but for {found.shared:,} that kept names hold, too" if found.shared else ""
    lines = [
        f"{done.output}: {found.values:,} removed values were searched for in its raw bytes",
        f"None was found{shared}",
        "",
    ]

    def listed(title: str, tables: tuple[tuple[str, int], ...]) -> None:
        rows = [f"  {name} ({rows:,} rows)" for name, rows in tables]
        lines.extend([title, *rows] if rows else [])

    listed("Emptied: environment, command line, user, host, output, files", done.emptied)
    listed("Left out: not known, and with text", done.dropped)
    if done.strings is not None:
        gone, all_ = done.strings
        lines.append(f"Strings: {gone:,} of {all_:,} left out, which nothing kept refers to")
    lines += [
        "Kept: times, ids, names of ranges, kernels, API calls and threads, range",
        "payloads, GPU, versions",
    ]
    if done.manifest:
        lines.append(f"{done.manifest}: the manifest, without command line, paths and notes")
    if done.short:
        lines.append(f"Too short to be searched for (under {SHORTEST} characters): {done.short:,}")
    lines += [f"Allowed to stay: {name}" for name in found.allowed]
    return "\n".join(lines) + "\n"
