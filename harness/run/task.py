"""The work on one trace, wherever it is done: its figures, or why there are none."""

from __future__ import annotations

import contextlib
import os

from msgspec.structs import replace

from ..analysis.model.errors import CannotRead, NotEnoughMemory, TraceError
from ..analysis.report import TraceReport
from ..analysis.reports.base import Failure
from ..analysis.reports.slim import slim
from ..errors import InternalError
from ..question import Means, Question
from .errors import WorkerKilled
from .exports import sqlite_of
from .one_trace import run

Task = tuple[str, Question, Means]
"""The file to read, what is asked of it, and with what means: what is sent to where it is done."""
Outcome = TraceReport | Failure


def path_of(task: Task) -> str:
    """The file as the user named it."""
    file, question, _ = task
    return question.path or file


def analyse(task: Task) -> Outcome:
    """The report, with no more of the trace in it than is shown unless its rows are wanted."""
    path, (_, question, means) = path_of(task), task
    try:
        report = _report(*task)
        return report if means.rows else slim(report, question)
    except TraceError as error:
        return Failure.of(path, error)
    except OSError as error:
        return Failure.of(path, CannotRead(f"{path}: {error.strerror or error}"))
    except MemoryError:
        return Failure.of(path, NotEnoughMemory(f"{path}: there is not enough memory for it"))
    except Exception as error:
        if means.alone or os.environ.get("HARNESS_DEBUG"):
            raise
        first = (str(error).strip().splitlines() or [""])[0]
        said = InternalError(
            f"{path}: internal error: {type(error).__name__}: {first}",
            remedy="give it alone with HARNESS_DEBUG=1 for the traceback, and please report it",
        )
        return Failure.of(path, said)


def _report(file: str, question: Question, means: Means) -> TraceReport:
    with sqlite_of(file, means) as sqlite:
        report = run(sqlite, question, means)
        ranked = any(device.communication_ns for device in report.devices)
        wanted = question.by is None or question.gains
        if ranked and wanted and not means.alone and report.detailed is not None:
            # Ranks are held against one another by their collectives' rows, where these fit.
            with contextlib.suppress(TraceError):
                return run(sqlite, question, replace(means, rows=True))
        return report


def lost(task: Task) -> Failure:
    """The outcome where the process died, and again with the machine to itself."""
    path = path_of(task)
    error = WorkerKilled(
        f"{path}: the process that analysed it was killed, though it had the machine to itself"
    )
    return Failure.of(path, error)
