"""The Click group: finds commands, turns errors into one line and an exit code, nothing else."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import threading

import click

from . import commands
from .exits import exit_code_of
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
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            ctx.exit(141)


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
    """Run the command line; every failure ends in one line on stderr and an exit code."""
    _open_streams()
    code = exit_code_of(_run)
    if code == 130 and _at_work():
        # Python would wait for them as it ends, and answer another ^C with a traceback.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _run() -> object:
    code = cli.main(prog_name="harness", standalone_mode=False)
    for thread in _at_work():  # what is kept for a second look; here ^C has an answer
        thread.join()
    return code


def _at_work() -> list[threading.Thread]:
    """Threads that Python waits for as it ends."""
    me = threading.current_thread()
    return [thread for thread in threading.enumerate() if not thread.daemon and thread is not me]


def _open_streams() -> None:
    """A closed stream (`2>&-`) is an empty one, so that no file of ours gets its number; and stdout
    spells out what its encoding lacks, as stderr does: a file's name can hold any byte."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
