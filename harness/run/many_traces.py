"""Analyse traces, few or many, here or elsewhere, into one report whose order is that of the words.

What comes back from each trace is the same whoever analysed it, so that the report is the same to
the byte whatever `--jobs` and `--dask` say.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Sequence
from pathlib import Path

from msgspec.structs import replace

from .. import talk
from ..analysis.model.cores import usable
from ..analysis.report import TraceReport
from ..analysis.reports.base import Failure, Report
from ..analysis.reports.tables.ranks import jobs_of
from ..program_name import called
from ..question import Means, Question
from ..status_line import ChangingLine
from ..version import __version__
from .exports import room_for
from .task import Outcome, Task, analyse, lost, path_of

SMALL_BYTES = 64 << 20
"""Input below which starting processes takes longer than it saves."""


def collect(
    traces: Sequence[str], question: Question, means: Means, labels: Sequence[str | None] = ()
) -> Report:
    """Analyse every trace; what cannot be read becomes a `Failure` and the others go on.

    Where the rows of traces are wanted, all are held in memory, and analysed one after another in
    this process. Otherwise each keeps only what the question shows. `labels`: none, or one each.
    """
    found: list[Outcome | None] = [None] * len(traces)
    with room_for(traces, means) as room, Progress(len(found)) as progress:
        means = replace(means, room=room, alone=len(traces) == 1)
        asked = [
            (path, replace(question, path=path, label=label), means)
            for path, label in zip(traces, labels or [None] * len(traces), strict=True)
        ]
        # Closed first: no process may still be at work in the room when it is removed.
        with contextlib.closing(_outcomes(asked, means)) as outcomes:
            for position, outcome in outcomes:
                found[position] = outcome
                talk.detail(_chosen(traces[position], outcome))
                progress.done(traces[position])
        report = Report(
            tuple(one for one in found if isinstance(one, TraceReport)),
            tuple(one for one in found if isinstance(one, Failure)),
            question,
            tool_version=__version__,
            command=called(),
        )
        return _with_late_ranks(report, asked) if question.gains else report


def _with_late_ranks(report: Report, tasks: list[Task]) -> Report:
    """The report, with what jobs would win if their late ranks were on time.

    Of each job one trace is looked at once more: what it waited for is known only now.
    """
    late = [(job, job.spared) for job in jobs_of(report) if job.spared]
    if not late:
        return report
    from ..analysis.ranks.on_time import question_of, told_to_all

    by_path = {path_of(task): task for task in tasks}
    means = replace(tasks[0][2], rows=False)
    again = []
    for _, spared in late:
        file, question, _ = by_path[spared.rank.member.figures.path]
        again.append((file, question_of(spared, question), means))
    # Closed first, as above. No two jobs have a rank in common: they may come in any order.
    with contextlib.closing(_outcomes(again, means)) as outcomes:
        for position, outcome in outcomes:
            if isinstance(outcome, TraceReport):
                job, _ = late[position]
                report = replace(report, traces=told_to_all(job, outcome, report.traces))
    return report


def _chosen(path: str, outcome: Outcome) -> str:
    """What a trace's figures are of: who recorded it, how much there is, which ranges are steps."""
    if isinstance(outcome, Failure):
        return f"{path}: failed"
    source = outcome.trace.source
    operations = sum(device.operations for device in outcome.devices)
    gpus = "1 GPU" if len(outcome.devices) == 1 else f"{len(outcome.devices)} GPUs"
    steps = dict.fromkeys(
        f"{one.steps} steps {one.pattern} on thread {one.tid}" for one in outcome.host
    )
    return ", ".join(
        [
            f"{path}: {source.producer} {source.version}".rstrip(),
            f"{operations:,} GPU operations on {gpus}",
            *(steps or ["no steps"]),
        ]
    )


def _outcomes(tasks: list[Task], means: Means) -> Generator[tuple[int, Outcome], None, None]:
    """(position, outcome) of every task, as they come."""
    if not means.rows:
        if means.dask is not None:
            from .dask_cluster import on_cluster

            return on_cluster(means.dask, tasks)
        processes = _processes([file for file, *_ in tasks], means.jobs)
        if processes > 1:
            from .pool import spread

            shared = replace(means, beside=processes)
            tasks = [(file, question, shared) for file, question, _ in tasks]
            return spread(analyse, tasks, processes, lost)
    return ((k, analyse(task)) for k, task in enumerate(tasks))


def _processes(files: Sequence[str], jobs: int | None) -> int:
    """How many processes: as asked, else one a core where the input is worth it."""
    if jobs is not None:
        return min(jobs, len(files))
    if len(files) == 1 or sum(_size(Path(file)) for file in files) < SMALL_BYTES:
        return 1
    return min(usable(), len(files))


def _size(path: Path) -> int:
    """Bytes of a file, or of the files of a folder; 0 where it cannot be told."""
    try:
        if path.is_dir():
            return sum(entry.stat().st_size for entry in os.scandir(path))
        return path.stat().st_size
    except OSError:
        return 0


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
