"""Looks for values in the raw bytes of a file, free pages and slack included."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

SHORTEST = 8
"""Characters below which a value is not searched for: it would be found everywhere."""

_CHUNK = 1 << 24
_ENCODINGS = (
    ("utf-8", "surrogateescape"),
    ("utf-16-le", "surrogatepass"),
    ("utf-16-be", "surrogatepass"),
)


def searchable(value: str) -> bool:
    """Long enough to mean something where it is found."""
    return len(value) >= SHORTEST


def found_in(path: Path, values: Iterable[str]) -> set[str]:
    """Which of the values stand somewhere in the file, in UTF-8 or UTF-16.

    One pass however many values there are: words of eight bytes are looked up by their first two,
    and only where these fit is anything compared.
    """
    patterns: dict[bytes, str] = {}
    for value in values:
        if searchable(value):
            for encoding, errors in _ENCODINGS:
                patterns.setdefault(encoded(value, encoding, errors), value)
    if not patterns:
        return set()
    by_head: dict[int, list[bytes]] = {}
    for pattern in patterns:
        by_head.setdefault(int.from_bytes(pattern[:8], "little"), []).append(pattern)
    heads = np.array(sorted(by_head), np.uint64)
    likely = np.zeros(1 << 16, np.bool_)
    likely[(heads & np.uint64(0xFFFF)).astype(np.int64)] = True
    overlap = max(map(len, patterns)) + 8
    found: set[str] = set()
    with path.open("rb") as file:
        kept = b""
        while chunk := file.read(_CHUNK):
            data = kept + chunk
            found |= _in_chunk(data, by_head, heads, likely, patterns)
            kept = data[-overlap:]
    return found


def encoded(value: str, encoding: str = "utf-8", errors: str = "surrogateescape") -> bytes:
    """The bytes of a value as a file holds them."""
    try:
        return value.encode(encoding, errors)
    except UnicodeEncodeError:  # half of a pair, which JSON may hold
        return value.encode(encoding, "surrogatepass")


def _in_chunk(
    data: bytes,
    by_head: dict[int, list[bytes]],
    heads: np.ndarray,
    likely: np.ndarray,
    patterns: dict[bytes, str],
) -> set[str]:
    found: set[str] = set()
    for shift in range(min(8, len(data))):
        whole = (len(data) - shift) // 8
        words = np.frombuffer(data, "<u8", whole, shift) if whole else np.empty(0, np.uint64)
        near = np.flatnonzero(likely[(words & np.uint64(0xFFFF)).astype(np.uint16)])
        near = near[np.isin(words[near], heads)]
        for at in near.tolist():
            for pattern in by_head[int(words[at])]:
                if data.startswith(pattern, at * 8 + shift):
                    found.add(patterns[pattern])
    return found
