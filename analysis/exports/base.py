"""What an exporter is. One is a module in this folder that defines `EXPORTER`, and
its name in the list of the package."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from functools import cache

from msgspec import Struct

from ..report import TraceReport

ROWS = ("gaps", "steps")
"""What a table export holds one row for."""


class Exporter(Struct, frozen=True):
    """One format. `chunks` gives the file in pieces, so that a large one is never held whole."""

    name: str
    suffixes: tuple[str, ...]
    describes: str
    tabular: bool
    """Whether it holds rows (`ROWS`) of any number of traces; else it is one trace's timeline."""
    text: bool
    """Whether it may be printed."""
    chunks: Callable[[Sequence[TraceReport], str], Iterator[bytes]]
    """Reports and one of `ROWS` to the file's bytes."""


@cache
def exporters() -> dict[str, Exporter]:
    """Every registered exporter by name."""
    package = importlib.import_module(__name__.rpartition(".")[0])
    found = [
        importlib.import_module(f".{name}", package.__name__).EXPORTER for name in package.MODULES
    ]
    return {exporter.name: exporter for exporter in found}
