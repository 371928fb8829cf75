"""What `harness gaps` does: analyse each trace, render, and say which ones failed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path

import click
from msgspec.structs import replace

from .analysis.model.memory import reuse_freed_memory
from .analysis.reports.base import Failure, reporter, reporters
from .errors import HarnessError, Repeated
from .errors.options import LabelCount, OptionsConflict, UnknownEnding
from .files import refuse_existing, write_text
from .question import Means, Question
from .run.errors import NothingBelieved, SomeFailed
from .run.many_traces import collect
from .terminal import terminal

FIGURES = ("table", "json", "csv", "md")
"""Formats that show figures alone."""


def run_gaps(
    traces: Sequence[str],
    question: Question,
    means: Means,
    *,
    labels: Sequence[str] = (),
    format_name: str | None = None,
    output: str | None = None,
    force: bool = False,
    plot: bool = False,
) -> None:
    """Analyse and print. Raises HarnessError at the end where a trace failed or said nothing."""
    check_labels(traces, labels)
    name = format_of(format_name, output)
    whole = "--plot" if plot else None if name in FIGURES else f"a report as {name}"
    check_places(means, whole)
    if plot and (name != "table" or output):
        raise OptionsConflict(
            "--plot draws in the terminal, below the table",
            remedy="leave out -o and --format, or use `harness report` for a page with charts",
        )
    if output:
        refuse_existing(output, force=force, inputs=traces)
    reuse_freed_memory()
    report = collect(traces, question, replace(means, rows=whole is not None), labels)
    text = reporter(name).render(report, terminal(to_file=output is not None))
    if report.traces:
        if output:
            write_text(Path(output), text, force=force)
        else:
            click.echo(text, nl=False)
    if plot and report.traces:
        from . import show

        click.echo("\n" + show.plot(report, terminal(to_file=False)), nl=False)
    silent = [trace.path for trace in report.traces if trace.empty]
    if report.failures or silent:
        raise failed(len(traces), report.failures, silent)


def failed(count: int, failures: Sequence[Failure], silent: Sequence[str] = ()) -> HarnessError:
    """The error to end with: a single trace's own; of several, each one's is said here before.

    `silent` are traces that were read, and of which nothing can be said.
    """
    if count == 1:
        if failures:
            return Repeated(failures[0].error, code=failures[0].code)
        return NothingBelieved(f"{silent[0]}: no figure of it can be believed")
    for failure in failures:
        click.echo(f"harness: error: {failure.error} [{failure.code}]", err=True)
    done = count - len(failures) - len(silent)
    return SomeFailed(
        f"{done} of {count} traces could be analysed",
        remedy=f"{', '.join(silent)}: no figure of it can be believed" if silent else None,
    )


def check_labels(traces: Sequence[str], labels: Sequence[str]) -> None:
    """Raises UsageError where labels are given, but not one for each trace."""
    if labels and len(labels) != len(traces):
        raise LabelCount(f"--label was given {len(labels)} times for {len(traces)} traces")


def check_places(means: Means, whole: str | None) -> None:
    """Raises UsageError where options that say where to analyse exclude one another.

    `whole`: what needs the rows of the traces, if anything does.
    """
    if means.dask is not None and means.jobs is not None:
        raise OptionsConflict(
            "--jobs counts processes of this machine, --dask names a cluster that has its own"
        )
    if whole and (means.dask is not None or means.jobs is not None):
        raise OptionsConflict(
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
    raise UnknownEnding(f"{output}: no format ends with {suffix!r}", remedy=f"use {endings}")
