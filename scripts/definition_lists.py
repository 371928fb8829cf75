#!/usr/bin/env python
"""Write the lists of changes and kinds in docs/definitions.md from the code (`make docs`).

A change is told by the first lines of its file, a kind by its own words. `--check` writes nothing
and ends with 1 where the page is not current.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from made_page import write_or_check

from harness.analysis.answer.kinds import Kind, kinds
from harness.analysis.gains.changes import Change, changes

PAGE = Path(__file__).resolve().parent.parent / "docs" / "definitions.md"
LIST = re.compile(r"(<!-- (\w+): written by [^\n]* -->\n).*?(<!-- end -->)", re.DOTALL)


def page(text: str) -> str:
    """The page with both lists made anew."""
    lists = {"changes": _changes(), "kinds": _kinds()}
    return LIST.sub(lambda found: found[1] + lists[found[2]] + found[3], text)


def _changes() -> str:
    rows = "".join(_change(change) for change in changes())
    return "\n| change | what is different in the replay |\n|---|---|\n" + rows + "\n"


def _change(change: Change) -> str:
    told = (sys.modules[change.offers.__module__].__doc__ or "").split("\n\n")[0]
    assumes = f" {change.assumes[0].upper()}{change.assumes[1:]}." if change.assumes else ""
    return f"| `{change.name}` | {' '.join(told.split())}{assumes} |\n"


def _kinds() -> str:
    rows = "".join(_kind(kind) for kind in kinds())
    return "\n| kind | what it is | `limiter` |\n|---|---|---|\n" + rows + "\n"


def _kind(kind: Kind) -> str:
    return f"| `{kind.name}` | {kind.means} | `{kind.old_word}` |\n"


def main() -> int:
    return write_or_check(PAGE, page(PAGE.read_text("utf-8")), "does not list what the code has")


if __name__ == "__main__":
    sys.exit(main())
