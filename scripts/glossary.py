#!/usr/bin/env python
"""Write docs/glossary.md from the words that `harness explain` knows (`make docs`).

`--check` writes nothing and ends with 1 where the page is not current.
"""

from __future__ import annotations

import sys
from pathlib import Path

from harness.entries import ROOMS
from harness.glossary import TOPICS, Word

PAGE = Path(__file__).resolve().parent.parent / "docs" / "glossary.md"
HEAD = """# Glossary

The words of tables, pages and messages. `harness explain` with a word prints its entry; a column's
head, with its unit or without, and a name in the JSON will do. The [definitions](definitions.md)
have them to the nanosecond.

Written by `make docs`: change `harness/glossary.py`, or the cause or the verdict, not this page.
"""
FURTHER = ("Idle causes", "Verdicts")
"""Rooms of `harness explain` whose entries are words of the tables."""


def page() -> str:
    """The whole page."""
    topics = [_topic(title, words) for title, words in TOPICS.items()]
    rooms = [room for room in ROOMS if room.title in FURTHER]
    listed = [_room(room.title, [(e.code, e.title) for e in room.entries()]) for room in rooms]
    return "\n".join([HEAD, *topics, *listed])


def _topic(title: str, words: tuple[Word, ...]) -> str:
    return f"## {title}\n\n" + "\n".join(map(_entry, words)) + "\n"


def _entry(word: Word) -> str:
    also = f" *Also:* {', '.join(word.also)}." if word.also else ""
    return f"- **{word.name}**: {word.text}{also}"


def _room(title: str, entries: list[tuple[str, str]]) -> str:
    lines = (f"- [`{code}`](troubleshooting.md#{code}): {told}" for code, told in entries)
    return f"## {title}\n\n" + "\n".join(lines) + "\n"


def main() -> int:
    text = page()
    if sys.argv[1:] == ["--check"]:
        if PAGE.read_text("utf-8") != text:
            print(f"{PAGE} is not what the glossary says: run `make docs`", file=sys.stderr)
            return 1
    else:
        PAGE.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
