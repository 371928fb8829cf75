"""How a command of ours ends: every failure becomes one line on stderr and an exit code."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from .errors import TraceError


def exit_code_of(run: Callable[[], object], unexpected: str) -> int:
    """Run and give the exit code: 0, an error's own, 130 for ^C, 1 for what nobody foresaw.

    `unexpected` words that last case, from the error's {kind} and its {first} line;
    `HARNESS_DEBUG=1` lets it through with its traceback.
    """
    try:
        code = run()
    except click.ClickException as error:
        error.show()
        code = error.exit_code
    except click.exceptions.Exit as error:
        code = error.exit_code
    except TraceError as error:
        click.echo(f"harness: error: {error}", err=True)
        code = error.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("harness: interrupted", err=True)
        code = 130
    except OSError as error:
        name = f"{error.filename}: " if error.filename else ""
        click.echo(f"harness: error: {name}{error.strerror or error}", err=True)
        code = 1
    except Exception as error:  # the last line of defence: a traceback helps nobody at two o'clock
        if os.environ.get("HARNESS_DEBUG"):
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        click.echo(unexpected.format(kind=type(error).__name__, first=first), err=True)
        code = 1
    return code if isinstance(code, int) else 0
