"""What `harness gaps` does: analyse each trace, render, and say which ones failed."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import click

from analysis.analyze import Options, TraceReport
from analysis.details import Wanted
from analysis.errors import TraceError
from analysis.gaps import Window
from analysis.memory import reuse_freed_memory
from analysis.reports.base import Failure, Report, Request, Terminal, reporter, reporters
from analysis.steps import DEFAULT_STEP, StepPattern

from . import __version__
from .errors import HarnessError, UsageError
from .files import refuse_existing, write_text
from .look import Ways, look

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
    memory: int | None = None
    """Bytes that an analysis may take."""
    keep: bool = True
    """Use the cache of traces."""
    figures: bool = False
    """Only figures are asked for: the rows of a trace need not be in memory."""


FIGURES = ("table", "json", "csv", "md")
"""Formats that show figures alone."""


def run_gaps(request: GapsRequest) -> None:
    """Analyse and print. Raises HarnessError at the end where a trace failed or said nothing."""
    check_labels(request)
    name = format_of(request.format_name, request.output)
    if request.plot and (name != "table" or request.output):
        raise UsageError(
            "--plot draws in the terminal, below the table",
            remedy="leave out -o and --format, or use `harness report` for a page with charts",
        )
    if request.output:
        refuse_existing(request.output, force=request.force)
    reuse_freed_memory()
    report = collect(replace(request, figures=name in FIGURES and not request.plot))
    text = reporter(name).render(report, terminal(to_file=request.output is not None))
    if report.traces:
        if request.output:
            write_text(Path(request.output), text, force=request.force)
        else:
            click.echo(text, nl=False)
    if request.plot and report.traces:
        from .show import plot

        click.echo("\n" + plot(report, terminal(to_file=False)), nl=False)
    for failure in report.failures:
        click.echo(f"harness: error: {failure.error}", err=True)
    silent = [t for t in report.traces if t.empty]
    if report.failures or silent:
        done = len(report.traces) - len(silent)
        names = ", ".join(trace.path for trace in silent)
        raise HarnessError(
            f"{done} of {len(request.traces)} traces could be analysed",
            remedy=f"{names}: no figure of it can be believed" if silent else None,
        )


def check_labels(request: GapsRequest) -> None:
    """Raises UsageError where labels are given, but not one for each trace."""
    if request.labels and len(request.labels) != len(request.traces):
        raise UsageError(
            f"--label was given {len(request.labels)} times for {len(request.traces)} traces",
            remedy="repeat it once for each trace, in the same order",
        )


def format_of(chosen: str | None, output: str | None) -> str:
    """The format asked for, else the one that the output's ending names, else the table."""
    if chosen or output is None:
        return chosen or "table"
    suffix = Path(output).suffix.lower()
    for known in reporters().values():
        if suffix in known.suffixes:
            return known.name
    endings = ", ".join(sorted(s for r in reporters().values() for s in r.suffixes))
    raise UsageError(f"{output}: no format ends with {suffix!r}", remedy=f"use {endings}")


def collect(request: GapsRequest) -> Report:
    """Analyse every trace; what cannot be read becomes a `Failure` and the others go on."""
    patterns = (
        *(StepPattern.glob(text) for text in request.globs),
        *(StepPattern.of_regex(text) for text in request.regexes),
    ) or (DEFAULT_STEP,)
    window = Window(request.start, request.end, request.capture)
    wanted = Wanted(request.top, request.by == "stream", request.definitions)
    ways = Ways(request.memory, request.keep, rows=not request.figures)
    done: list[TraceReport] = []
    failed: list[Failure] = []
    for k, path in enumerate(request.traces):
        _progress(k, len(request.traces), path)
        label = request.labels[k] if request.labels else None
        options = Options(
            patterns, window, request.steps, request.device, label, path, request.infer
        )
        try:
            done.append(look(sqlite_of(path, request.nsys), options, wanted, ways))
        except TraceError as error:
            failed.append(Failure(path, str(error)))
        except OSError as error:
            failed.append(Failure(path, str(TraceError(f"{path}: {error.strerror or error}"))))
    _progress(None, len(request.traces), "")
    asked = Request(
        by=request.by,
        top=request.top,
        definitions=request.definitions,
        step_options=(
            *(["--infer-steps"] if request.infer else []),
            *(f"--step {shlex.quote(text)}" for text in request.globs),
            *(f"--step-regex {shlex.quote(text)}" for text in request.regexes),
        ),
        tool_version=__version__,
    )
    return Report(tuple(done), tuple(failed), asked)


def sqlite_of(path: str, nsys: str | None) -> Path:
    """The file to analyse: a .nsys-rep is exported first, into a cache."""
    if path.endswith(".nsys-rep"):
        from .exports import exported

        return exported(Path(path), nsys)
    return Path(path)


def terminal(*, to_file: bool) -> Terminal:
    """Width and colour of stdout; 80 columns without colour where it is no terminal."""
    if to_file or not sys.stdout.isatty():
        columns = os.environ.get("COLUMNS", "")
        known = columns.isdecimal() and not to_file and 0 < len(columns) < 6
        return Terminal(max(int(columns), MIN_WIDTH) if known else 80, color=False)
    color = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    return Terminal(max(shutil.get_terminal_size((80, 24)).columns, MIN_WIDTH), color)


def _progress(done: int | None, total: int, path: str) -> None:
    """A counter on stderr, for a person who waits for many traces."""
    if total < 3 or not sys.stderr.isatty():
        return
    text = "" if done is None else f"analysing {done + 1}/{total}  {Path(path).name[:50]}"
    click.echo(f"\r\x1b[K{text}", err=True, nl=False)
