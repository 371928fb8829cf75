#!/usr/bin/env python
"""Write docs/reference.md from what the commands say of themselves (`make docs`).

`--check` writes nothing and ends with 1 where the page is not what the commands say.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.testing import CliRunner
from made_page import write_or_check

from harness.cli import cli

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference.md"
WIDTH = 90
HEAD = """# Reference

Every command and every option, as `--help` prints them. Written by `make docs`: change the command,
not this page.

"""


def reference() -> str:
    """The page: the group, then each command in alphabetical order."""
    names = cli.list_commands(click.Context(cli))
    links = "\n".join(f"- [harness {name}](#harness-{name})" for name in names)
    sections = [_section("harness", ["--help"])]
    sections += [_section(f"harness {name}", [name, "--help"]) for name in names]
    return HEAD + links + "\n\n" + "\n".join(sections)


def _section(title: str, args: list[str]) -> str:
    # A fixed width, whatever the terminal: the page has to come out the same everywhere.
    done = CliRunner().invoke(
        cli, args, prog_name="harness", terminal_width=WIDTH, catch_exceptions=False
    )
    lines = (line.rstrip() for line in done.output.strip().splitlines())
    return f"## {title}\n\n```text\n" + "\n".join(lines) + "\n```\n"


def main() -> int:
    return write_or_check(PAGE, reference(), "is not what --help says")


if __name__ == "__main__":
    sys.exit(main())
