"""A page that is made from the code: written, or with --check held against what it should be."""

from __future__ import annotations

import sys
from pathlib import Path


def write_or_check(page: Path, text: str, is_not: str) -> int:
    """The exit code. `is_not` says what a page that is old is not: 'is not what --help says'."""
    if sys.argv[1:] == ["--check"]:
        if page.read_text("utf-8") != text:
            print(f"{page} {is_not}: run `make docs`", file=sys.stderr)
            return 1
    else:
        page.write_text(text, "utf-8")
    return 0
