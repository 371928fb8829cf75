"""What `harness gaps` does: analyse each trace, render, and say which ones failed."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import click

from .analysis.model.memory import reuse_freed_memory
from .analysis.reports.base import Failure, Terminal, reporter, reporters
from .errors import HarnessError, UsageError
from .files import refuse_existing, write_text
from .run.many_traces import collect

MIN_WIDTH = 40
"""Columns below which no table can be drawn."""


@dataclass(frozen=True)
class GapsRequest:
    """The command line of `harness gaps`."""

    traces: tuple[str, ...]
    globs: tuple[str, ...] = ()
    regexes: tuple[str, ...] = ()
    steps: tuple[int | None, int | None] = (None, None)
    start: int | None = None
    end: int | None = None
    capture: bool = False
    device: int | None = None
    by: str | None = None
    top: int = 0
    definitions: bool = False
    infer: bool = False
    labels: tuple[str, ...] = ()
    format_name: str | None = None
    output: str | None = None
    force: bool = False
    nsys: str | None = None
    plot: bool = False
    jobs: int | None = None
    """Processes that share the traces; None: one a core, where there is enough to do."""
    dask: str | None = None
    """Address of a Dask scheduler whose workers analyse the traces."""
    memory: int | None = None
    """Bytes that the analysis may take, all processes together."""
    keep: bool = True
    """Use the cache of traces."""


FIGURES = ("table", "json", "csv", "md")
"""Formats that show figures alone."""


def run_gaps(request: GapsRequest) -> None:
    """Analyse and print. Raises HarnessError at the end where a trace failed or said nothing."""
    check_labels(request)
    name = format_of(request.format_name, request.output)
    check_places(request, name)
    if request.plot and (name != "table" or request.output):
        raise UsageError(
            "--plot draws in the terminal, below the table",
            remedy="leave out -o and --format, or use `harness report` for a page with charts",
        )
    if request.output:
        refuse_existing(request.output, force=request.force, inputs=request.traces)
    reuse_freed_memory()
    report = collect(request, whole=request.plot or name not in FIGURES)
    text = reporter(name).render(report, terminal(to_file=request.output is not None))
    if report.traces:
        if request.output:
            write_text(Path(request.output), text, force=request.force)
        else:
            click.echo(text, nl=False)
    if request.plot and report.traces:
        from .show import plot

        click.echo("\n" + plot(report, terminal(to_file=False)), nl=False)
    silent = [trace.path for trace in report.traces if trace.empty]
    if report.failures or silent:
        raise failed(request, report.failures, silent)


def failed(
    request: GapsRequest, failures: Sequence[Failure], silent: Sequence[str] = ()
) -> HarnessError:
    """The error to end with: a single trace's own; of several, each one's is said here before.

    `silent` are traces that were read, and of which nothing can be said.
    """
    if len(request.traces) == 1:
        if failures:
            return HarnessError(failures[0].error)
        return HarnessError(
            f"{silent[0]}: no figure of it can be believed", remedy="its verdicts say why"
        )
    for failure in failures:
        click.echo(f"harness: error: {failure.error}", err=True)
    done = len(request.traces) - len(failures) - len(silent)
    return HarnessError(
        f"{done} of {len(request.traces)} traces could be analysed",
        remedy=f"{', '.join(silent)}: no figure of it can be believed" if silent else None,
    )


def check_labels(request: GapsRequest) -> None:
    """Raises UsageError where labels are given, but not one for each trace."""
    if request.labels and len(request.labels) != len(request.traces):
        raise UsageError(
            f"--label was given {len(request.labels)} times for {len(request.traces)} traces",
            remedy="repeat it once for each trace, in the same order",
        )


def check_places(request: GapsRequest, name: str) -> None:
    """Raises UsageError where options that say where to analyse exclude one another."""
    if request.dask is not None and request.jobs is not None:
        raise UsageError(
            "--jobs counts processes of this machine, --dask names a cluster that has its own",
            remedy="give one of them",
        )
    whole = "--plot" if request.plot else None if name in FIGURES else f"a report as {name}"
    if whole and (request.dask is not None or request.jobs is not None):
        raise UsageError(
            f"{whole} draws from whole traces, which --jobs and --dask leave where they were read",
            remedy="leave one of them out",
        )


def format_of(
    chosen: str | None, output: str | None, *, among: Collection[str] | None = None
) -> str:
    """The format asked for, else the one that the output's ending names, else the table.

    `among`: the formats that the command has, where it has not all of them.
    """
    if chosen or output is None:
        return chosen or "table"
    suffix = Path(output).suffix.lower()
    known = [one for one in reporters().values() if among is None or one.name in among]
    for one in known:
        if suffix in one.suffixes:
            return one.name
    endings = ", ".join(sorted(ending for one in known for ending in one.suffixes))
    raise UsageError(f"{output}: no format ends with {suffix!r}", remedy=f"use {endings}")


def terminal(*, to_file: bool) -> Terminal:
    """Width and colour of stdout; 80 columns without colour where it is no terminal."""
    if to_file or not sys.stdout.isatty():
        columns = os.environ.get("COLUMNS", "")
        known = columns.isdecimal() and not to_file and 0 < len(columns) < 6
        return Terminal(max(int(columns), MIN_WIDTH) if known else 80, color=False)
    color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(max(shutil.get_terminal_size((80, 24)).columns, MIN_WIDTH), color)
