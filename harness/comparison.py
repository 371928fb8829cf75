"""What `harness compare` does: two sides from traces, folders or results, compared."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from .analysis.analyze import analyze
from .analysis.compare.comparison import Comparison, compare, metrics_of_both
from .analysis.compare.sample_sets import BARE, trace_side
from .analysis.compare.samples import Side
from .analysis.model.errors import TraceError
from .analysis.readers.arrow.tables import is_columnar
from .analysis.report import TraceReport
from .bench.errors import NothingInCommon, NothingToCompare, NotInResults
from .bench.remarks import ComparedAsRecorded, ComparedBare, FileLeftOut
from .errors import NoSuchFile
from .folders import traces_in
from .question import Means, Question
from .run.exports import sqlite_of

_RESULTS = (".db", ".sqlite", ".sqlite3")


def side(spec: str, question: Question, means: Means) -> Side:
    """What `spec` names: a trace, a folder, or a results file `FILE[@SESSION][#STRATEGY]`.

    Raises HarnessError where there is nothing in it to compare.
    """
    path, session, strategy = _parts(spec)
    if path.is_dir() and not is_columnar(path):
        found = _folder(path, question, means)
    elif not path.exists():
        raise NoSuchFile(f"{path} does not exist")
    elif _is_results(path):
        found = _results(path, session, strategy, spec)
    else:
        found = trace_side(spec, [_report(path, question, means)], windows=_any_window(question))
    if not found.subjects:
        raise NothingToCompare(f"{spec} has no steps and no runs to compare")
    return found


def history(spec: str, question: Question, means: Means) -> Side:
    """What `spec` shows of how much runs differ: a folder's traces, or a results file's sessions.

    Raises HarnessError where there is nothing in it.
    """
    path, _, strategy = _parts(spec)
    if path.is_dir() or not path.exists() or not _is_results(path):
        return side(spec, question, means)
    from .bench.figures import load
    from .bench.sample_sets import history_side, session_side
    from .bench.store import Store

    with Store.reading(path) as store:
        loaded = [load(store, row["id"]) for row in store.sessions()]
    return history_side(spec, [session_side(spec, figures, strategy) for figures in loaded])


def path_of(spec: str) -> Path:
    """The file or folder that a side is read from."""
    return _parts(spec)[0]


def _parts(spec: str) -> tuple[Path, str | None, str | None]:
    """A name that exists is taken as it is, whatever marks it has in it."""
    if Path(spec).exists():
        return Path(spec), None, None
    rest, _, strategy = spec.partition("#")
    if not Path(rest).exists() and "@" in rest:
        rest, _, session = rest.rpartition("@")
        return Path(rest), session or None, strategy or None
    return Path(rest), None, strategy or None


def _is_results(path: Path) -> bool:
    from .bench.results_file import is_results

    return path.suffix in _RESULTS and is_results(path)


def _results(path: Path, session: str | None, strategy: str | None, name: str) -> Side:
    from .bench.figures import load
    from .bench.sample_sets import session_side
    from .bench.store import Store

    with Store.reading(path) as store:
        figures = load(store, session)
    found = session_side(name, figures, strategy)
    if not found.subjects and strategy is not None:
        there = dict.fromkeys(cell.strategy for cell in figures.cells.values() if cell.runs)
        raise NotInResults(
            f"session {figures.session['id']} of {path} measured no {strategy!r}",
            remedy=f"it has {', '.join(there) or 'no runs'}",
        )
    return found


def _report(path: Path, question: Question, means: Means) -> TraceReport:
    with sqlite_of(str(path), means) as sqlite:
        return analyze(sqlite, question)


def _any_window(question: Question) -> bool:
    """Whether a trace without the steps asked for may be compared by its whole window."""
    return not question.patterns and question.steps == (None, None)


def _folder(folder: Path, question: Question, means: Means) -> Side:
    """Every trace and results file in a folder; what cannot be read becomes a note."""
    reports, sides, notes = [], [], []
    results = {path for path in folder.iterdir() if path.suffix in _RESULTS and _is_results(path)}
    for path in sorted(results.union(traces_in(folder))):
        try:
            if path in results:
                sides.append(_results(path, None, None, str(path)))
            else:
                reports.append(_report(path, question, means))
        except TraceError as error:
            notes.append(FileLeftOut(f"left out: {error}"))
    if reports or not sides:
        sides.append(trace_side(str(folder), reports, notes, windows=_any_window(question)))
    metadata: dict[str, Any] = {}
    for one in sides:
        metadata |= one.metadata
    return Side(
        str(folder),
        metadata,
        tuple(subject for one in sides for subject in one.subjects),
        tuple(note for one in sides for note in one.notes),
    )


def _of_both(one: Side, other: Side) -> Side:
    """The same; what was taken for steps is left out where the other side is no trace."""
    if "steps" in other.metadata:
        return one
    return replace(one, metadata={k: v for k, v in one.metadata.items() if k != "steps"})


def _sides(before: str, after: str, question: Question, means: Means) -> tuple[Side, Side]:
    """Both sides without their recorders, where all traces of both prove what that is; else both as
    recorded: a loop must not look faster because its recording proves more."""
    a, b = side(before, question, means), side(after, question, means)
    # What `harness bench` measured had no recorder.
    recorded = [one for one in (a, b) if "producer" in one.metadata]
    timelines = {one.metadata.get("timeline") for one in recorded}
    if timelines == {BARE}:
        said = ComparedBare("without their recorders, which steps beside the recorded ones prove")
        return a, replace(b, notes=(*b.notes, said))
    if timelines in (set(), {None}):
        return a, b
    question = replace(question, as_recorded=True)
    a, b = side(before, question, means), side(after, question, means)
    note = ComparedAsRecorded(
        "both sides are as recorded, recorder included: not every trace proves what it is without"
    )
    return a, replace(b, notes=(*b.notes, note))


def run_compare(
    before: str,
    after: str,
    question: Question,
    means: Means,
    *,
    confidence: float,
    metrics: Sequence[str] = (),
    past: str | None = None,
) -> Comparison:
    """Compare what two names stand for, or these metrics of it, all of them gates; `past` names
    runs that show how much they differ.

    Raises HarnessError where nothing can be compared, or a metric is not there.
    """
    a, b = _sides(before, after, question, means)
    question = replace(
        question, as_recorded=BARE not in (a.metadata.get("timeline"), b.metadata.get("timeline"))
    )
    a, b = _of_both(a, b), _of_both(b, a)
    before_that = None if past is None else history(past, question, means)
    there = metrics_of_both(a, b)
    for metric in metrics if there else ():
        if metric not in there:
            raise NotInResults(
                f"no metric is called {metric!r} here", remedy=f"use {', '.join(there)}"
            )
    found = compare(a, b, confidence, metrics, before_that)
    if not found.ratios and not (found.only_before or found.only_after):
        raise NothingInCommon(
            f"nothing stands on both sides: one of {before} and {after} has steps in steady state, "
            "and the other has not"
        )
    if not found.ratios:
        raise NothingInCommon(
            f"nothing stands on both sides: {before} has {_few(found.only_before)}, "
            f"{after} has {_few(found.only_after)}"
        )
    return found


def _few(keys: Sequence[str]) -> str:
    return ", ".join(keys[:3]) + (" ..." if len(keys) > 3 else "")
