"""How a command of ours ends: every failure becomes one line on stderr and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from .errors import CannotRead, InternalError, TraceError


def exit_code_of(run: Callable[[], object]) -> int:
    """Run and give the exit code: 0, an error's own, 130 for ^C, 1 for what nobody foresaw.

    `HARNESS_DEBUG=1` lets that last one through with its traceback.
    """
    try:
        code = run()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Exit as error:
        code = error.exit_code
    except TraceError as error:
        click.echo(f"harness: error: {error.line}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("harness: interrupted", err=True)
        code = 130
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        failed = CannotRead(f"{name}{error.strerror or error}")
        click.echo(f"harness: error: {failed.line}", err=True)
        code = failed.exit_code
    except Exception as error:  # the last line of defence: a traceback helps nobody at two o'clock
        if os.environ.get("HARNESS_DEBUG"):
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        unforeseen = InternalError(f"internal error: {type(error).__name__}: {first}")
        click.echo(f"harness: error: {unforeseen.line}", err=True)
        code = unforeseen.exit_code
    return code if isinstance(code, int) else 0
