#!/usr/bin/env python
"""Write docs/troubleshooting.md from what `harness explain` knows (`make docs`).

The messages of an error are read from where the sources raise it, with `…` where a message names
something of the user's. `--check` writes nothing and ends with 1 where the page is not current.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from made_page import write_or_check

from harness.analysis.model.remark import Remark
from harness.entries import ROOMS, Entry, Room, all_entries
from harness.errors import TraceError

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "troubleshooting.md"
HEAD = """# Troubleshooting

Every error is one line on standard error, `harness: error: MESSAGE; what to do [CODE]`. This page
has an entry for each code, and below it the messages that bear it, with `…` where a message names
something of yours: search the page for the code or for words of the message. `harness explain`
with a code prints the same entry. Verdicts, idle causes, warnings and notes, which end nothing,
have entries too. Lines that begin with `Usage:` are about the spelling of a command line; `--help`
shows it.

`harness doctor` finds most of what stops a recording. Exit codes: 0 done; 1 failed; 2 the command
line makes no sense; 3 worse than `--fail-above`; 4 too few runs to judge `--fail-above`; 125 a
recording failed through no fault of the target; 126 and 127 the target cannot be run or was not
found; 130 and 143 stopped.

Written by `make docs`: change the error's class or the verdict's entry, not this page.

"""
VERDICTS = """
They stand below the tables of `harness gaps`, as `! CODE (FIGURES LEVEL): reason. Remedy`.
*Degraded* figures are printed and doubted, *invalid* ones are not printed. The exact
limits stand in [definitions](definitions.md#verdicts).
"""
CAUSES = """
What the GPU waited for: `harness gaps --by cause` gives the idle time of each.
"""
ABOUT = {"Verdicts": VERDICTS, "Idle causes": CAUSES}
HOLE = "…"


def page() -> str:
    """The whole page."""
    said = messages()
    links = " · ".join(f"[{room.title}](#{_anchor(room)})" for room in ROOMS)
    return HEAD + links + "\n" + "".join(_section(room, said) for room in ROOMS)


def _anchor(room: Room) -> str:
    return room.title.lower().replace(" ", "-")


def _section(room: Room, said: dict[str, list[str]]) -> str:
    about = ABOUT.get(room.title, "")
    entries = (_entry(entry, said[entry.code]) for entry in room.entries())
    return f"\n## {room.title}\n{about}" + "".join(entries)


def _entry(entry: Entry, said: list[str]) -> str:
    text = " ".join(filter(None, [f"**{entry.title}**", entry.text.replace("\n\n", " ")]))
    if entry.remedy:
        text += f" *What to do:* {entry.remedy}."
    if entry.exit_code not in (None, 0, 1):
        text += f" Exit code {entry.exit_code}."
    shown = "\n```messages\n" + "\n".join(said) + "\n```\n" if said else ""
    return f"\n### {entry.code}\n\n{text}\n{shown}"


def messages() -> dict[str, list[str]]:
    """Code -> the messages that the sources raise with it."""
    known = {kind.__name__: kind.code for kind in kinds(TraceError, Remark)}
    found: defaultdict[str, list[str]] = defaultdict(list)
    for call in calls():
        name, words = name_of(call), call.args
        if name in ("Refused", "refused") and words and isinstance(words[0], ast.Constant):
            code, words = str(words[0].value), words[1:]
        else:
            code = known.get(name, "")
        for text in _wordings(words[0]) if code and words else ():
            if re.search(r"\w", text) and text not in found[code]:
                found[code].append(text)
    return found


def kinds(*bases: type) -> Iterator[type[TraceError] | type[Remark]]:
    """The classes that errors and remarks are made of."""
    all_entries()  # imports every room
    for kind in (kind for base in bases for kind in base.__subclasses__()):
        yield kind
        yield from kinds(kind)


def calls() -> Iterator[ast.Call]:
    """Every call in the sources, file by file."""
    for folder in ("analysis", "harness"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            tree = ast.parse(path.read_text("utf-8"))
            found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
            yield from sorted(found, key=lambda call: (call.lineno, call.col_offset))


def name_of(call: ast.Call) -> str:
    """What a call calls, without its owner."""
    return getattr(call.func, "id", "") or getattr(call.func, "attr", "")


def _wordings(node: ast.expr) -> list[str]:
    """What a message may read: two wordings for a choice, nothing for what is only known there."""
    if isinstance(node, ast.IfExp):
        return _wordings(node.body) + _wordings(node.orelse)
    if isinstance(node, ast.BinOp):
        return [_tidy(text + HOLE) for text in _wordings(node.left)]
    if isinstance(node, ast.JoinedStr):
        parts = (str(p.value) if isinstance(p, ast.Constant) else HOLE for p in node.values)
        return [_tidy("".join(parts))]
    return [_tidy(str(node.value))] if isinstance(node, ast.Constant) else []


def _tidy(text: str) -> str:
    return re.sub(rf"{HOLE}(?:\s*{HOLE})*", HOLE, " ".join(text.split()))


def main() -> int:
    return write_or_check(PAGE, page(), "is not what the errors say")


if __name__ == "__main__":
    sys.exit(main())
