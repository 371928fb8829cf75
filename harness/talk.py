"""What a command says on standard error besides errors and warnings, and how much of it.

`-q` leaves out progress and what was done; `-v` adds what was chosen and where the time went. Data
on standard output, errors and warnings are the same with both.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import click

_quiet = False
_verbose = False


def set_level(*, quiet: bool = False, verbose: bool = False) -> None:
    """For the command that runs now."""
    global _quiet, _verbose
    _quiet, _verbose = quiet, verbose


def quiet() -> bool:
    """Whether `-q` was given."""
    return _quiet


def verbose() -> bool:
    """Whether `-v` was given."""
    return _verbose


def say(text: str) -> None:
    """Something that was done, and nobody has to know."""
    if not _quiet:
        click.echo(text, err=True)


def detail(text: str) -> None:
    """What was chosen, or what took long."""
    if _verbose:
        click.echo(f"harness: {text}", err=True)


@contextlib.contextmanager
def timed(what: str) -> Iterator[None]:
    """Tell how long the block took, s."""
    began = time.perf_counter()
    yield
    detail(f"{what}: {time.perf_counter() - began:.2f} s")
