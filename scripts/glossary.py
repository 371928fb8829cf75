#!/usr/bin/env python
"""Write docs/glossary.md from the words that `harness explain` knows (`make docs`).

`--check` writes nothing and ends with 1 where the page is not current.
"""

from __future__ import annotations

import sys
from pathlib import Path

from made_page import write_or_check

from harness.entries import ROOMS, change_entries, kind_entries
from harness.glossary import TOPICS, Word

PAGE = Path(__file__).resolve().parent.parent / "docs" / "glossary.md"
HEAD = """# Glossary

The words of tables, pages and messages. `harness explain` with a word prints its entry; a column's
head, with its unit or without, and a name in the JSON will do. The [definitions](definitions.md)
have them to the nanosecond.

Written by `make docs`: change `harness/glossary.py`, or the cause, the verdict, the kind or the
change, not this page.
"""
FURTHER = ("Idle causes", "Verdicts")
"""Rooms of `harness explain` whose entries are words of the tables."""
KINDS = "What the largest gain of a loop is about: `harness gaps` begins with it."
CHANGES = "What the table of gains tries, one at a time, in a replay of the recorded loop."


def page() -> str:
    """The whole page."""
    topics = [_topic(title, words) for title, words in TOPICS.items()]
    rooms = [room for room in ROOMS if room.title in FURTHER]
    listed = [_room(room.title, [(e.code, e.title) for e in room.entries()]) for room in rooms]
    return "\n".join([HEAD, *topics, _kinds(), _changes(), *listed])


def _topic(title: str, words: tuple[Word, ...]) -> str:
    return f"## {title}\n\n" + "\n".join(map(_entry, words)) + "\n"


def _entry(word: Word) -> str:
    also = f" *Also:* {', '.join(word.also)}." if word.also else ""
    return f"- **{word.name}**: {word.text}{also}"


def _kinds() -> str:
    said = (f"- **{one.code}**: {one.title} *What to do:* {one.remedy}." for one in kind_entries())
    return f"## Kinds of gain\n\n{KINDS}\n\n" + "\n".join(said) + "\n"


def _changes() -> str:
    said = (f"- **{one.code}**: {f'{one.title} {one.text}'.strip()}" for one in change_entries())
    return f"## Changes\n\n{CHANGES}\n\n" + "\n".join(said) + "\n"


def _room(title: str, entries: list[tuple[str, str]]) -> str:
    lines = (f"- [`{code}`](troubleshooting.md#{code}): {told}" for code, told in entries)
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def main() -> int:
    return write_or_check(PAGE, page(), "is not what the glossary says")


if __name__ == "__main__":
    sys.exit(main())
