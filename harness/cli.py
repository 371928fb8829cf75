"""The Click group: finds commands, turns errors into one line and an exit code, nothing else."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from . import __version__
from .exits import exit_code_of

COMMANDS = Path(__file__).parent / "commands"


class CommandFolder(click.Group):
    """A group whose commands are the modules in `harness/commands`, imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        names = (path.stem for path in COMMANDS.glob("*.py") if not path.stem.startswith("_"))
        return sorted(name.replace("_", "-") for name in names)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)
        return module.command


@click.group(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Find out why your GPU idles between steps, and make it stop.

    \b
    Examples:
      harness gaps traces/*.sqlite
      harness gaps run.nsys-rep --step 'Step *' --by cause
    """


_UNEXPECTED = (
    "harness: internal error: {kind}: {first}; "
    "run again with HARNESS_DEBUG=1 for the traceback, and please report it"
)


def main() -> None:
    """Run the command line; every failure ends in one line on stderr and an exit code."""
    sys.exit(exit_code_of(_run, _UNEXPECTED))


def _run() -> object:
    try:
        return cli.main(prog_name="harness", standalone_mode=False)
    except BrokenPipeError:
        # The reader went away (`| head`): not our failure, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
