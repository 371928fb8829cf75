"""Sizes of memory and files as people write them."""

from __future__ import annotations

_UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40, "k": 10**3, "m": 10**6, "g": 10**9,
}  # fmt: skip


def bytes_of(text: str) -> int:
    """Bytes of `2GB`, `512MB`, `1.5GiB`. Raises ValueError with one line for anything else.

    >>> bytes_of("1.5GiB"), bytes_of("512 MB")
    (1610612736, 512000000)
    """
    clean = text.strip().lower()
    number = clean.rstrip("abcdefghijklmnopqrstuvwxyz").strip()
    unit = clean[len(number) :].strip()
    try:
        value = float(number)
    except ValueError:
        value = -1.0
    if unit not in _UNITS or not 0 <= value < 1e15:
        raise ValueError(f"{text!r} is not a size; use for example 2GB or 512MB")
    return int(value * _UNITS[unit])


def shown_bytes(count: int) -> str:
    """Bytes for a person: `93 MB`, `1.9 GB`."""
    if count < 10**9:
        return f"{count / 1e6:,.0f} MB" if count >= 10**6 else f"{count / 1e3:,.0f} kB"
    return f"{count / 1e9:,.1f} GB"
