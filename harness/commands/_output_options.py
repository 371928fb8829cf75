"""Options that say in which format a command prints, and where it writes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

_FORMATS = click.Choice(["table", "json", "csv", "md"])

format_by_ending = click.option(
    "--format",
    "format_name",
    type=_FORMATS,
    help="Output format. Default: by the ending of -o, else table.",
)
force_option = click.option("--force", is_flag=True, help="Overwrite the output file.")
json_option = click.option("--json", "as_json", is_flag=True, help="Same as --format json.")


def format_printed(what: str | None = None) -> Callable[..., Any]:
    """For a command whose -o, if it has one, says nothing of the format."""
    return click.option(
        "--format", "format_name", type=_FORMATS, default="table", show_default=True, help=what
    )
