"""The options of `harness gaps` that `harness profile` takes, too: it prints that analysis."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import click

from .gaps import command as gaps

# These mean something else where a recording is made, or say where a trace comes from.
_NOT_TAKEN = frozenset({"traces", "steps", "device", "nsys", "labels", "output", "force", "dask"})
_TAKEN = tuple(
    option
    for option in gaps.params
    if isinstance(option, click.Option)
    and option.expose_value  # what everybody has, profile has by itself
    and option.name not in _NOT_TAKEN
)


def analysis_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command every option of `harness gaps` that keeps its meaning there."""
    # What `click.option` does: a command collects its options in this attribute.
    function.__dict__.setdefault("__click_params__", []).extend(reversed(_TAKEN))
    return function


def shown(values: Iterable[str]) -> list[str]:
    """Which of these values belong to the analysis."""
    names = {option.name for option in _TAKEN}
    return [name for name in values if name in names]


def check(values: Mapping[str, Any]) -> None:
    """Raise before the recording what the analysis would raise after it."""
    from ..analysis.question import patterns_of
    from ..errors.options import OptionsConflict

    globs, regexes = values.get("globs", ()), values.get("regexes", ())
    patterns_of(globs, regexes)
    if values.get("infer") and (globs or regexes):
        raise OptionsConflict(
            "--infer-steps finds steps without ranges, --step and --step-regex name ranges"
        )
