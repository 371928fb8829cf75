"""docs/reference.md is what --help says."""

from __future__ import annotations

import subprocess
import sys

import click

from ..conftest import ROOT
from .pages import text

SCRIPT = ROOT / "scripts" / "reference.py"


def test_the_page_is_what_help_says() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_option_of_every_command_stands_in_it() -> None:
    """Not by the script: by the commands themselves."""
    from harness.cli import cli

    page = text("docs/reference.md")
    names = cli.list_commands(click.Context(cli))
    assert len(names) > 10
    for name in names:
        section = page.split(f"\n## harness {name}\n")[1].split("\n## ")[0]
        command = cli.get_command(click.Context(cli), name)
        assert command is not None
        for one in command.params:
            for option in one.opts if isinstance(one, click.Option) and not one.hidden else ():
                assert option in section, f"harness {name} {option}"
        assert "Examples:" in section
