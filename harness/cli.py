"""The Click group: finds commands, turns errors into one line and an exit code, nothing else."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
import time
from collections.abc import Iterator
from typing import TextIO

import click

from . import commands, talk
from .exits import exit_code_of
from .run import background
from .version import __version__

_BEGAN = time.perf_counter()


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

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does; `help` and `version` do what their options do, a guess gets a hint."""
        word, *rest = args
        if word in _WORDS and word not in self.list_commands(ctx):
            return word, _WORDS[word], rest
        if word.startswith("-") or self.get_command(ctx, word) is not None:
            return super().resolve_command(ctx, args)
        from .errors.options import UnknownCommand
        from .guesses import meant_by

        meant = meant_by(word, rest, self.list_commands(ctx))
        remedy = None if meant is None else f"did you mean `{meant}`?"
        raise UnknownCommand(f"there is no command {word!r}", remedy=remedy)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; an option of a command that stands before it gets a hint."""
        try:
            return super().parse_args(ctx, list(args))
        except click.NoSuchOption as error:
            from .errors.options import OptionBeforeCommand
            from .guesses import behind_its_command

            meant = behind_its_command(args, self.list_commands(ctx))
            if meant is None:
                raise
            told = f"{error.option_name} stands before the command"
            raise OptionBeforeCommand(told, remedy=f"options follow it: `{meant}`") from None

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


@click.command("help", add_help_option=False)
@click.argument("words", nargs=-1, type=click.UNPROCESSED)
@click.pass_context
def _help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """What --help prints, of the group or of a command."""
    group = ctx.parent
    assert group is not None
    if not words or words[0] in _WORDS or words[0].startswith("-"):
        click.echo(group.get_help())
        return
    assert isinstance(group.command, CommandFolder)
    name, command, _ = group.command.resolve_command(group, list(words[:1]))
    assert command is not None
    click.echo(command.get_help(click.Context(command, group, info_name=name)))


@click.command("version", add_help_option=False)
def _version() -> None:
    """What --version prints."""
    click.echo(f"harness, version {__version__}")


_WORDS = {"help": _help, "version": _version}
"""Words that are no commands of their own, and are not listed: the options have other names."""


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
    talk.set_level()
    try:
        code = cli.main(prog_name="harness", standalone_mode=False)
        _told_times()
        background.finish()  # what is kept for a second look; here ^C has an answer
    except (click.Abort, KeyboardInterrupt):
        background.give_up()
        raise
    return code


def _told_times() -> None:
    """With `-v`: what the whole process took."""
    if not talk.verbose():
        return
    import resource

    spent = resource.getrusage(resource.RUSAGE_SELF)
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu, others = (one.ru_utime + one.ru_stime for one in (spent, below))
    talk.detail(
        f"took {time.perf_counter() - _BEGAN:.2f} s, of CPU time {cpu:.2f} s here and "
        f"{others:.2f} s in processes below; at most {spent.ru_maxrss / 1024:.0f} MB of memory here"
    )


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
