"""Recorded names made fit to print."""

from __future__ import annotations


def plain(text: str, limit: int = 200) -> str:
    """A recorded name made safe for one line of a terminal: no control characters, bounded."""
    clean = "".join(
        c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text[: limit + 1]
    )
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"
