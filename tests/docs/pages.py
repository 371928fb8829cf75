"""The pages of the documentation, and what stands in them: links, anchors, blocks, tables."""

from __future__ import annotations

import re
from pathlib import Path

from ..conftest import ROOT

FENCE = re.compile(r"^```(\w*)([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Every page that a reader may open."""
    return [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "CHANGELOG.md",
        ROOT / "THIRD_PARTY.md",
        *sorted((ROOT / "docs").rglob("*.md")),
        ROOT / "traces" / "README.md",
    ]


def text(name: str) -> str:
    """A page by its path from the root."""
    return (ROOT / name).read_text("utf-8")


def prose(page: str) -> str:
    """Without code blocks."""
    return re.sub(r"^(?: {4}|\t).*$", "", FENCE.sub("", page), flags=re.MULTILINE)


def anchors(page: str) -> set[str]:
    """The names that a link may jump to, as GitHub makes them of headings."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", FENCE.sub("", page), re.MULTILINE):
        name = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        number = 0
        while (one := f"{name}-{number}" if number else name) in found:
            number += 1
        found.add(one)
    return found
