"""The Click group: finds commands, turns errors into one line and an exit code, nothing else."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator
from typing import TextIO

import click

from . import commands
from .exits import exit_code_of
from .run import background
from .version import __version__


class CommandFolder(click.Group):
    """A group whose commands are those that `harness/commands` names, imported when asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name.replace("_", "-") for name in commands.MODULES]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in self.list_commands(ctx):
            return None
        module = importlib.import_module(f".commands.{name.replace('-', '_')}", __package__)
        command: click.Command = module.command
        return command

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # The reader went away (`| head`): not our failure, and nothing more can be said.
            _forget(sys.stdout)
            ctx.exit(141)


def _forget(stream: TextIO) -> None:
    """Drop what could not be written, which Python would try once more as it ends."""
    number = stream.fileno()
    kept, nowhere = os.dup(number), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    try:
        stream.flush()
    finally:
        os.dup2(kept, number)
        os.close(kept)
        os.close(nowhere)


@click.group(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="harness")
def cli() -> None:
    """Find out why your GPU idles between steps, and make it stop.

    \b
    Examples:
      harness gaps traces/*.sqlite
      harness gaps run.nsys-rep --step 'Step *' --by cause
    """


def main() -> None:
    """Run the command line; every failure ends in one line on stderr and an exit code.

    Raises SystemExit. A program that calls this finds its streams, signals and threads as before.
    """
    try:
        with _open_streams(), _spelt_out():
            code = exit_code_of(_run)
    except KeyboardInterrupt:  # one more while the last one was told, or after all was done
        code = 130
    sys.exit(code)


def _run() -> object:
    try:
        code = cli.main(prog_name="harness", standalone_mode=False)
        background.finish()  # what is kept for a second look; here ^C has an answer
    except (click.Abort, KeyboardInterrupt):
        background.give_up()
        raise
    return code


@contextlib.contextmanager
def _open_streams() -> Iterator[None]:
    """A closed stream (`2>&-`) is an empty one, so that no file of ours gets its number."""
    with contextlib.ExitStack() as opened:
        for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
            if getattr(sys, name) is None:
                setattr(sys, name, opened.enter_context(open(os.devnull, mode)))
                opened.callback(setattr, sys, name, None)
        yield


@contextlib.contextmanager
def _spelt_out() -> Iterator[None]:
    """Stdout spells out what its encoding lacks, as stderr does: file names hold any byte."""
    stdout = sys.stdout
    if not isinstance(stdout, io.TextIOWrapper):
        yield
        return
    before = stdout.errors
    stdout.reconfigure(errors="backslashreplace")
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):  # full, or closed
            stdout.reconfigure(errors=before)
