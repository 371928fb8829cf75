"""Analyse traces, few or many, here or elsewhere, into one report whose order is that of the words.

What comes back from each trace is the same whoever analysed it, so that the report is the same to
the byte whatever `--jobs` and `--dask` say.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from ..analysis.analyze import TraceReport
from ..analysis.model.cores import usable
from ..analysis.model.errors import TraceError
from ..analysis.question import Question, patterns_of
from ..analysis.reports.base import Failure, Report, Request
from ..analysis.reports.slim import slim
from ..program_name import called
from ..status_line import ChangingLine
from ..version import __version__
from . import memory
from .exports import room_for, sqlite_of
from .one_trace import SHARE, Ways, look

if TYPE_CHECKING:
    from ..gaps import GapsRequest

SMALL_BYTES = 64 << 20
"""Input below which starting processes takes longer than it saves."""


@dataclass(frozen=True)
class Job:
    """One trace to analyse, wherever that happens."""

    file: str
    """The file to read."""
    question: Question
    nsys: str | None
    keep: Request | None
    """What will be shown of it; None keeps the trace whole."""
    alone: bool
    """The only trace: what nobody foresaw is raised, as everywhere else."""
    memory: int | None = None
    """Bytes that the analysis may take; None for a share of what is free."""
    cached: bool = True
    """Look in the cache, and keep there what was found."""
    room: str | None = None
    """A folder for exports that are not kept, on the machine that asked."""
    beside: int = 1
    """Processes at work at once, which share the memory."""

    @property
    def path(self) -> str:
        """The file as the user named it."""
        return self.question.path or self.file


Outcome = TraceReport | Failure


def collect(request: GapsRequest, *, whole: bool = True) -> Report:
    """Analyse every trace; what cannot be read becomes a `Failure` and the others go on.

    `whole` keeps all rows of all traces in memory, for drawings and exports, and analyses them one
    after another in this process. Otherwise each keeps only what `request` shows.
    """
    asked = request_of(request)
    found: list[Outcome | None] = [None] * len(request.traces)
    with room_for(request.traces, keep=request.keep) as room, Progress(len(found)) as progress:
        jobs = [replace(job, room=room) for job in jobs_of(request, None if whole else asked)]
        # Closed first: no process may still be at work in the room when it is removed.
        with contextlib.closing(_outcomes(request, jobs)) as outcomes:
            for position, outcome in outcomes:
                found[position] = outcome
                progress.done(jobs[position].path)
    return Report(
        tuple(one for one in found if isinstance(one, TraceReport)),
        tuple(one for one in found if isinstance(one, Failure)),
        asked,
    )


def _outcomes(request: GapsRequest, jobs: list[Job]) -> Generator[tuple[int, Outcome], None, None]:
    """(position, outcome) of every job, as they come."""
    if jobs and jobs[0].keep is not None:
        if request.dask is not None:
            from .dask_cluster import on_cluster

            return on_cluster(request.dask, jobs)
        processes = _processes(request, jobs)
        if processes > 1:
            from .pool import spread

            shared = [replace(job, beside=processes) for job in jobs]
            return spread(analyse, shared, processes, _lost)
    return ((k, analyse(job)) for k, job in enumerate(jobs))


def _processes(request: GapsRequest, jobs: list[Job]) -> int:
    """How many processes: as asked, else one a core where the input is worth it."""
    if request.jobs is not None:
        return min(request.jobs, len(jobs))
    if len(jobs) == 1 or sum(_size(Path(job.file)) for job in jobs) < SMALL_BYTES:
        return 1
    return min(usable(), len(jobs))


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a folder; 0 where it cannot be told."""
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path))
        return path.stat().st_size
    except OSError:
        return 0


def _lost(job: Job) -> Failure:
    error = TraceError(
        f"{job.path}: the process that analysed it was killed, though it had the machine to itself",
        remedy="if memory ran out, give it a machine with more, or only some steps (--steps A:B)",
    )
    return Failure(job.path, str(error))


def analyse(job: Job) -> Outcome:
    """One trace: its figures, or why there are none. Runs wherever `collect` has it run."""
    try:
        report = _looked_at(job)
        return report if job.keep is None else slim(report, job.keep)
    except TraceError as error:
        return Failure(job.path, str(error))
    except OSError as error:
        return Failure(job.path, str(TraceError(f"{job.path}: {error.strerror or error}")))
    except MemoryError:
        return Failure(job.path, str(TraceError(f"{job.path}: there is not enough memory for it")))
    except Exception as error:
        if job.alone or os.environ.get("HARNESS_DEBUG"):
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        said = TraceError(
            f"{job.path}: internal error: {type(error).__name__}: {first}",
            remedy="give it alone with HARNESS_DEBUG=1 for the traceback, and please report it",
        )
        return Failure(job.path, str(said))


def _looked_at(job: Job) -> TraceReport:
    with sqlite_of(job.file, job.nsys, keep=job.cached, room=job.room) as path:
        return _looked_into(path, job)


def _looked_into(path: Path, job: Job) -> TraceReport:
    keep = job.keep
    budget = job.memory if job.beside == 1 else (job.memory or memory.available() // SHARE)
    ways = Ways(budget and budget // job.beside, job.cached, rows=keep is None or keep.by == "rank")
    if keep is None:
        return look(path, job.question, ways)
    report = look(path, job.question, ways)
    ranked = any(device.communication_ns for device in report.devices)
    if ranked and keep.by is None and not job.alone and report.detailed is not None:
        # Ranks are held against one another by their collectives' rows, where these fit.
        with contextlib.suppress(TraceError):
            return look(path, job.question, replace(ways, rows=True))
    return report


def request_of(request: GapsRequest) -> Request:
    """What the reporters are asked for."""
    return Request(
        by=request.by,
        top=request.top,
        definitions=request.definitions,
        narrowing=_narrowing(request),
        tool_version=__version__,
        command=called(),
    )


def _narrowing(request: GapsRequest) -> tuple[str, ...]:
    """The options that say which part of a trace is meant, as they would be typed."""
    first, last = ("" if number is None else number for number in request.steps)
    return (
        *(["--infer-steps"] if request.infer else []),
        *(f"--step {shlex.quote(text)}" for text in request.globs),
        *(f"--step-regex {shlex.quote(text)}" for text in request.regexes),
        *([f"--device {request.device}"] if request.device is not None else []),
        *([f"--steps {first}:{last}"] if request.steps != (None, None) else []),
        *([f"--start {request.start}ns"] if request.start is not None else []),
        *([f"--end {request.end}ns"] if request.end is not None else []),
        *(["--window capture"] if request.capture else []),
    )


def jobs_of(request: GapsRequest, keep: Request | None) -> list[Job]:
    """One job a trace, in the order of the command line."""
    question = Question(
        patterns=patterns_of(request.globs, request.regexes),
        steps=request.steps,
        start=request.start,
        end=request.end,
        capture=request.capture,
        device=request.device,
        infer=request.infer,
        by=request.by,
        top=request.top,
        definitions=request.definitions,
    )
    labels = request.labels or (None,) * len(request.traces)
    return [
        Job(
            path,
            replace(question, label=label, path=path),
            request.nsys,
            keep,
            alone=len(request.traces) == 1,
            memory=request.memory,
            cached=request.keep,
        )
        for path, label in zip(request.traces, labels, strict=True)
    ]


class Progress:
    """A counter on stderr, for a person who waits for many traces; silent elsewhere."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._count = 0
        self._line = ChangingLine(wanted=total >= 3)

    def __enter__(self) -> Progress:
        self._line.show(f"analysing {self._total} traces")
        return self

    def done(self, path: str) -> None:
        self._count += 1
        self._line.show(f"analysed {self._count}/{self._total}  {Path(path).name[:50]}")

    def __exit__(self, *exception: object) -> None:
        self._line.clear()
