"""One changing line on standard error, for a person who waits; nothing where nobody watches."""

from __future__ import annotations

import sys

import click

from . import talk


class ChangingLine:
    """Each text replaces the one before it. `wanted=False` and `-q` keep quiet, also there."""

    def __init__(self, *, wanted: bool = True) -> None:
        self._shown = wanted and not talk.quiet() and sys.stderr.isatty()
        self._open = False

    def show(self, text: str) -> None:
        """Where things stand."""
        if self._shown:
            click.echo(f"\r\x1b[K{text}", err=True, nl=False)
            self._open = True

    def clear(self) -> None:
        """Remove the line."""
        if self._open:
            click.echo("\r\x1b[K", err=True, nl=False)
            self._open = False
