"""What the first bytes of a file say about its format."""

from __future__ import annotations

from pathlib import Path

GZIP = b"\x1f\x8b"
BOM = b"\xef\xbb\xbf"


def is_json(path: Path) -> bool:
    """Whether the file begins as JSON or is gzipped; False where it cannot be read.

    Nothing else that this package reads is gzipped, so the JSON reader says what is wrong with it.
    """
    try:
        with path.open("rb") as file:
            start = file.read(64)
    except OSError:
        return False
    return start.startswith(GZIP) or start.removeprefix(BOM).lstrip()[:1] in (b"{", b"[")
