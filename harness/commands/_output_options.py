"""Options that say in which format a command prints, where it writes, and how much it tells."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import click

from .. import talk
from ..errors.options import OptionsConflict

_FORMATS = click.Choice(["table", "json", "csv", "md"])

force_option = click.option("--force", is_flag=True, help="Overwrite the output file.")
json_option = click.option("--json", "as_json", is_flag=True, help="Same as --format json.")


def format_by_ending(function: Callable[..., Any]) -> Any:
    """`--format` and `--json`, handed on as `format_name`; None: the ending of -o says it."""
    option = click.option(
        "--format",
        "format_name",
        type=_FORMATS,
        help="Output format. Default: by the ending of -o, else table.",
    )
    return option(json_option(_one_format(function)))


def format_printed(what: str | None = None) -> Callable[..., Any]:
    """The same for a command whose -o, if it has one, says nothing of the format."""
    option = click.option(
        "--format", "format_name", type=_FORMATS, default="table", show_default=True, help=what
    )
    return lambda function: option(json_option(_one_format(function)))


def _one_format(function: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, as_json: bool, format_name: str | None, **values: Any) -> Any:
        if as_json:
            source = click.get_current_context().get_parameter_source("format_name")
            if source is click.core.ParameterSource.COMMANDLINE and format_name != "json":
                raise OptionsConflict(f"--json is --format json, and --format is {format_name}")
            format_name = "json"
        return function(*args, format_name=format_name, **values)

    return wrapped


def talk_options(function: Callable[..., Any]) -> Any:
    """`-q` and `-v`, which `talk` knows and the command need not."""
    for option in (
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_level,
            help="Say on stderr what was chosen and where the time went.",
        ),
        click.option(
            "-q",
            "--quiet",
            is_flag=True,
            is_eager=True,
            expose_value=False,
            callback=_level,
            help="No progress on stderr; errors and warnings stay.",
        ),
    ):
        function = option(function)
    return function


def _level(ctx: click.Context, param: click.Parameter, given: bool) -> None:
    told = ctx.meta.setdefault(__name__, {})
    told[param.name] = given
    if all(told.get(name) for name in ("quiet", "verbose")):
        raise OptionsConflict("--quiet says less and --verbose more")
    talk.set_level(**told)
