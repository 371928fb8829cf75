"""The type of every argument and option that names a file or a folder."""

from __future__ import annotations

import os
from typing import Any

import click

from ..errors import EmptyName


class PathName(click.Path):
    """A path as click takes it, and never an empty one: Path('') would be the current folder."""

    def convert(self, value: Any, param: Any, ctx: Any) -> Any:
        if os.fspath(value) == "":
            what = param.opts[-1] if param.param_type_name == "option" else param.make_metavar(ctx)
            raise EmptyName(f"the name given for {what.strip('[].')} is empty")
        return super().convert(value, param, ctx)


ANY = PathName(readable=False)
"""Whatever is there, or not: what reads it says what is wrong with it."""


def all_traces(ctx: click.Context, param: object, names: tuple[str, ...]) -> tuple[str, ...]:
    """A callback: a folder's traces in the folder's place."""
    if ctx.resilient_parsing or not any(map(os.path.isdir, names)):
        return names
    from ..folders import expanded

    return expanded(names)


def one_trace(ctx: click.Context, param: object, name: str | None) -> str | None:
    """A callback: a folder's newest trace in the folder's place."""
    if ctx.resilient_parsing or name is None or not os.path.isdir(name):
        return name
    from ..folders import newest

    return newest(name)
