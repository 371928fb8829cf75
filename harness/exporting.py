"""What `harness export` does: analyse traces and hand them to an exporter."""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from msgspec.structs import replace

from . import talk
from .analysis.exports.base import exporters
from .analysis.model.memory import reuse_freed_memory
from .errors import Repeated
from .errors.options import OneTraceAFile, OptionsConflict, OutputNeeded, UnknownEnding
from .files import refuse_existing, write_chunks
from .question import Means, Question
from .run.errors import NoSteps
from .run.many_traces import collect
from .status_line import ChangingLine


def run_export(
    traces: Sequence[str],
    question: Question,
    means: Means,
    *,
    to: str | None = None,
    rows: str | None = None,
    output: str | Path | None = None,
    force: bool = False,
) -> None:
    """Write or print the export. Raises HarnessError where it cannot be made."""
    exporter = exporters()[_format(to, output)]
    if rows and not exporter.tabular:
        raise OptionsConflict(
            f"--rows chooses the rows of a table, and {exporter.name} holds a timeline",
            remedy="leave it out, or use --to csv",
        )
    if not exporter.tabular and len(traces) > 1:
        raise OneTraceAFile(
            f"--to {exporter.name} holds one trace, {len(traces)} were given: their clocks differ"
        )
    output = Path(output) if output else None
    if output is None and (not exporter.text or sys.stdout.isatty()):
        raise OutputNeeded(
            f"--to {exporter.name} needs a file",
            remedy=f"add -o FILE{exporter.suffixes[0]}"
            + (", or send it to a pipe" if exporter.text else ""),
        )
    if output is not None:
        refuse_existing(output, force=force, inputs=traces)
    reuse_freed_memory()
    report = collect(traces, question, replace(means, rows=True))
    if report.failures:
        raise Repeated(
            "; ".join(failure.error for failure in report.failures), code=report.failures[0].code
        )
    if (
        (rows or "gaps") == "steps"
        and exporter.tabular
        and not any(t.series for t in report.traces)
    ):
        verdict = next((v for t in report.traces for v in t.verdicts if v.figures == "steps"), None)
        raise NoSteps(
            "there are no steps to export" + (f": {verdict.reason}" if verdict else ""),
            remedy=verdict.remedy if verdict else None,
        )
    chunks = exporter.chunks(report.traces, rows or "gaps")
    if output is not None:
        if output.suffix.lower() == ".gz":
            chunks = _packed(chunks)
        write_chunks(output, _told(chunks), force=force)
        talk.say(_next(exporter.name, output))
        return
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()  # a reader that went away is noticed here, not as Python ends


def _format(to: str | None, output: str | Path | None) -> str:
    if to:
        return to
    suffix = Path(str(output).lower().removesuffix(".gz")).suffix if output else ""
    for exporter in exporters().values():
        if suffix in exporter.suffixes:
            return exporter.name
    known = ", ".join(sorted(exporters()))
    raise UnknownEnding(
        "what to export to is not said" if not suffix else f"no export ends with {suffix!r}",
        remedy=f"add --to with one of {known}",
    )


def _packed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same, gzipped: Perfetto opens it as it is, and the same input gives the same bytes."""
    packer = zlib.compressobj(6, wbits=31)
    for chunk in chunks:
        yield packer.compress(chunk)
    yield packer.flush()


def _told(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """The same, with its progress on stderr for a person who waits."""
    line = ChangingLine()
    done, said = 0, 0
    for chunk in chunks:
        yield chunk
        done += len(chunk)
        if done - said >= 8_000_000:
            said = done
            line.show(f"{done / 1e6:,.0f} MB written")
    line.clear()


def _next(name: str, output: Path) -> str:
    if name == "perfetto":
        return (
            f"{output}: open it at ui.perfetto.dev (it stays on your machine) or chrome://tracing"
        )
    return f"{output}: written"
