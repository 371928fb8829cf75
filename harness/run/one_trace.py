"""How a trace is looked at: from what is cached of it, in memory, or a chunk at a time."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from msgspec.structs import replace

from .. import talk
from ..analysis.analyze import analyze
from ..analysis.model.errors import NotEnoughMemory, TraceError
from ..analysis.model.trace import Trace
from ..analysis.readers.formats import is_json
from ..analysis.readers.open import open_trace
from ..analysis.report import TraceReport
from ..analysis.store.errors import StoreError
from ..analysis.store.folder import read_checked, write_checked
from ..analysis.store.opened import Store
from ..analysis.unrecorded import why_as_recorded
from ..question import Means, Question
from ..sizes import shown_bytes
from ..status_line import ChangingLine
from . import background, cache, memory
from .errors import NoRoomForColumns

SMALL = 20 * 10**6
"""Bytes of a file below which nothing is cached: to read it again costs less than to look."""
CACHED_TOP = 20
"""Longest gaps that every cached answer has, so that it answers other questions too."""
SHARE = 2
"""Unless --memory says otherwise, an analysis may take one part in so many of free memory."""


def run(path: Path, question: Question, means: Means) -> TraceReport:
    """The report of one trace; without rows where they are not wanted and do not fit.

    Raises TraceError or OSError where the file cannot be analysed.
    """
    if not path.is_file() or is_json(path):
        with talk.timed(f"{path}: read and analysed"):
            return analyze(path, question)
    whole = means.rows or question.infer or question.by == "rank"
    question = _widened(question)
    name = None
    if means.cached and not cache.switched_off() and path.stat().st_size >= SMALL:
        with contextlib.suppress(OSError):
            name = cache.identity(path)
    if name is not None:
        with contextlib.suppress(StoreError, OSError):
            store = Store(cache.traces_folder() / name, path)
            talk.detail(f"{path}: its columns are cached in {store.folder}")
            return _whole(store, question) if whole else _cached(store, question, means)
    budget = _budget(means)
    needs = memory.needed(path)
    allowed = f"of memory, may take {shown_bytes(budget)}"
    talk.detail(f"{path}: needs about {shown_bytes(needs)} {allowed}")
    if needs <= budget:
        with talk.timed(f"{path}: read whole"):
            trace = open_trace(path)
        with talk.timed(f"{path}: analysed"):
            return analyze(trace, question) if name is None else _and_cache(trace, name, question)
    if whole:
        raise NotEnoughMemory(
            f"{path}: what was asked for holds all rows, about {shown_bytes(needs)} of memory, and "
            f"{shown_bytes(budget)} may be taken",
            remedy="cut the trace with `nsys export --times`, or ask `harness gaps` for a table",
        )
    with talk.timed(f"{path}: read and analysed a chunk at a time"):
        return _in_chunks(path, name, budget, question)


def _budget(means: Means) -> int:
    """Bytes that this process may take."""
    return (means.memory or memory.available() // SHARE) // means.beside


def _widened(question: Question) -> Question:
    """The question that is answered for it, and for others: with streams and the longest gaps."""
    return replace(question, by="stream", top=max(question.top, CACHED_TOP))


def _whole(store: Store, question: Question) -> TraceReport:
    """From all rows of a stored trace. Raises StoreError where it cannot be believed after all."""
    cache.touch(store.folder)
    return analyze(store.trace(), question)


def _cached(store: Store, question: Question, means: Means) -> TraceReport:
    """From a stored trace, or a stored answer. Raises StoreError as `_whole` does."""
    cache.touch(store.folder)
    from ..analysis.cached_report import unpack

    answer = _answer(store.folder, store.path, question)
    with contextlib.suppress(StoreError):
        return unpack(read_checked(answer), store, question)
    budget = _budget(means)
    # Only a trace in memory is analysed without its recorder.
    whole = not question.narrowed or not why_as_recorded(
        store.source.manifest, question, in_parts=False
    )
    if whole and memory.needed_by_rows(store) <= budget:
        report = analyze(store.trace(), question)
    else:
        report = _chunked(store, budget, question)
    with contextlib.suppress(OSError):
        _cache_answer(answer, report, question)
        cache.prune()
    return report


def _chunked(store: Store, budget: int, question: Question) -> TraceReport:
    from ..analysis.idle.sizes import sizes_for

    with reported(store.path.name) as progress:
        return analyze(store, question, sizes_for(budget), progress)


def _in_chunks(path: Path, name: str | None, budget: int, question: Question) -> TraceReport:
    """A trace that is larger than memory: stored first, for this look alone if it is not cached."""
    from ..analysis.store.build import build_store

    with cache.building(cached=name is not None) as work:
        try:
            with reported(path.name) as progress:
                build_store(path, work, budget, progress)
            (work / cache.TRACE).write_text(str(path.resolve()), "utf-8", "surrogateescape")
        except OSError as error:
            raise NoRoomForColumns(
                f"{path}: its columns cannot be put aside in {work.parent} "
                f"({error.strerror or error})"
            ) from error
        folder = work
        if name and cache.identity(path) == name:  # not written to while it was read
            folder = cache.publish(work, name)
        store = Store(folder, path)
        report = _chunked(store, budget, question)
        if name:
            with contextlib.suppress(OSError):
                _cache_answer(_answer(folder, path, question), report, question)
            cache.prune()
        return report


def _and_cache(trace: Trace, name: str, question: Question) -> TraceReport:
    """Analyse a trace that is in memory, and store it meanwhile."""
    keeper = _Keeper(trace, name, question)
    background.begin(keeper.run)
    try:
        report = analyze(trace, question)
        keeper.report = report
    finally:
        keeper.ready.set()
    return report


class _Keeper:
    """Stores a trace beside its analysis."""

    def __init__(self, trace: Trace, name: str, question: Question) -> None:
        self._trace, self._entry, self._question = trace, name, question
        self.report: TraceReport | None = None
        self.ready = threading.Event()

    def run(self) -> None:
        # What cannot be kept (a full disk, no folder) is read again the next time.
        with contextlib.suppress(OSError, TraceError):
            self._keep()

    def _keep(self) -> None:
        from ..analysis.idle.kept import keep_whole
        from ..analysis.readers.metadata import read_metadata
        from ..analysis.readers.sqlite.database import open_database
        from ..analysis.store.save import save_trace

        path = self._trace.path
        with cache.building() as work:
            save_trace(self._trace, read_metadata(open_database(path)), work)
            self.ready.wait()
            if self.report is not None:
                if self.report.bare is None:  # else its steps are not those of the columns
                    keep_whole(
                        work, self._trace, self.report.steps, self._question, self.report.chosen
                    )
                answer = _answer(work, path, self._question)
                _cache_answer(answer, self.report, self._question)
            (work / cache.TRACE).write_text(str(path.resolve()), "utf-8", "surrogateescape")
            if cache.identity(path) == self._entry:  # not written to while it was read
                cache.publish(work, self._entry)
        cache.prune()


def _answer(folder: Path, path: Path, question: Question) -> Path:
    """Where the answer to a question is kept; the manifest beside the trace is part of it."""
    import hashlib

    from ..analysis.cached_report import key_of

    key = hashlib.sha256(key_of(question).encode())
    manifest = path.with_suffix(".json")
    if manifest.is_file():
        key.update(manifest.read_bytes())
    return folder / "answers" / f"{key.hexdigest()[:24]}.bin"


def _cache_answer(answer: Path, report: TraceReport, question: Question) -> None:
    from ..analysis.cached_report import pack

    answer.parent.mkdir(exist_ok=True)
    write_checked(answer, pack(report, question))


@contextmanager
def reported(name: str) -> Iterator[_Reported]:
    """Progress on stderr, for a person who waits."""
    line = ChangingLine()
    try:
        yield _Reported(name, line)
    finally:
        line.clear()


class _Reported:
    """Says what is being done, and how much of it is."""

    def __init__(self, name: str, line: ChangingLine) -> None:
        self._name, self._line = name[:40], line

    def __call__(self, what: str, done: int, total: int) -> None:
        # How many rows a table has is not known before it was read.
        share = f"{done / total:4.0%} of {total / 1e6:,.1f}M" if total else f"{done / 1e6:,.1f}M"
        self._line.show(f"{self._name}: {what} {share} rows")
