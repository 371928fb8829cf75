"""SQLite exports of .nsys-rep reports, kept in the user's cache: a report is exported once.

Where nothing is to be cached they go into a temporary folder, and with it.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from .. import talk
from ..analysis.readers.errors import EmptyFile
from ..errors import CannotRead, CaptureError, NotAFile, Repeated, UsageError
from ..files import write_bytes
from ..question import Means
from ..status_line import ChangingLine
from .cache import TRACE, exports_folder, remove_left_behind, switched_off
from .errors import ExportNotKept

KEEP = 20
"""Exports kept; the ones used longest ago go first."""
IN_USE_S = 900
"""An export used less than this ago stays: another process may still be reading it."""
_WORK = ".export-"


@contextlib.contextmanager
def sqlite_of(path: str, means: Means = Means()) -> Iterator[Path]:  # noqa: B008
    """The file to analyse: `path`, or the export of a .nsys-rep.

    An export that is not cached is there until the end of the block: in the room of `room_for`,
    where that is a folder of this machine. The user's own files are never touched.
    Raises HarnessError, one line, where the report cannot be read or nsys cannot export it.
    """
    check_nsys(means.nsys)
    if not _is_report(path):
        yield Path(path)
    elif means.cached and not switched_off():
        yield exported(Path(path), means.nsys)
    else:
        place = means.room if means.room is not None and os.path.isdir(means.room) else None
        with _temporary(place) as folder:
            yield _exported_into(folder, Path(path), means.nsys)


@contextlib.contextmanager
def room_for(traces: Sequence[str], means: Means) -> Iterator[str | None]:
    """A folder for exports that are not cached, or None where there will be none.

    Whoever exports may be a process that is killed: the folder goes with what it left there.
    """
    if (means.cached and not switched_off()) or not any(map(_is_report, traces)):
        yield None
        return
    with _temporary(None) as folder:
        yield str(folder)


def check_nsys(given: str | None) -> None:
    """Raise UsageError where the nsys that was given is not there, though none may be needed."""
    if given is None:
        return
    from ..capture.nsys.features import find_nsys

    try:
        find_nsys(given)
    except CaptureError as error:
        raise Repeated(
            error.message, code=error.code, remedy=error.remedy, exit_code=UsageError.exit_code
        ) from error


def _is_report(path: str) -> bool:
    return path.endswith(".nsys-rep")


@contextlib.contextmanager
def _temporary(place: str | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(
        prefix="harness-export-", dir=place, ignore_cleanup_errors=True
    ) as folder:
        yield Path(folder)


def exported(report: Path, nsys: str | None = None) -> Path:
    """The export of a report in the cache, exported now where it is not there yet.

    Raises HarnessError where it cannot be.
    """
    info = _checked(report)
    folder = exports_folder() / _identity(report, info)
    sqlite = _exported_into(folder, report, nsys)
    with contextlib.suppress(OSError):  # a cache that can only be read needs no tidying
        os.utime(folder)
        _prune(keep=folder)
    return sqlite


def _exported_into(folder: Path, report: Path, nsys: str | None) -> Path:
    _checked(report)
    sqlite = folder / f"{report.stem}.sqlite"
    try:
        if not sqlite.is_file():
            _export(report, sqlite, nsys)
        _carry_manifest(report, sqlite)
    except OSError as error:
        raise ExportNotKept(
            f"{report}: its export cannot be kept in {folder.parent} ({error.strerror or error})"
        ) from error
    return sqlite


def _checked(report: Path) -> os.stat_result:
    """What the system says of a report; HarnessError where that already tells that it is none."""
    try:
        info = report.stat()
    except OSError as error:
        raise CannotRead(f"{report}: {error.strerror}") from error
    if not report.is_file():
        raise NotAFile(f"{report} is not a file")
    if info.st_size == 0:
        raise EmptyFile(f"{report} is empty", remedy="record it again")
    return info


def _identity(report: Path, info: os.stat_result) -> str:
    facts = (report.resolve(), info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
    import hashlib

    return hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:24]


def _export(report: Path, sqlite: Path, nsys: str | None) -> None:
    from ..capture.nsys.errors import ToolInterrupted
    from ..capture.nsys.export import export_sqlite
    from ..capture.nsys.features import require_nsys

    line = ChangingLine()
    try:
        features = require_nsys(nsys)
        sqlite.parent.parent.mkdir(parents=True, exist_ok=True)
        line.show(f"exporting {report.name} with nsys {features.version} ...")
        talk.detail(f"{report}: exported with nsys {features.version}, {features.path}")
        with tempfile.TemporaryDirectory(prefix=_WORK, dir=sqlite.parent.parent) as work:
            made = Path(work) / sqlite.name
            # A path from the root: nsys would take a name that begins with a dash for options.
            export_sqlite(features, Path(os.path.abspath(report)), made)
            named = Path(work) / TRACE
            named.write_text(str(report.resolve()), "utf-8", "surrogateescape")
            sqlite.parent.mkdir(exist_ok=True)
            named.replace(sqlite.with_name(TRACE))
            made.replace(sqlite)
    except ToolInterrupted as stopped:
        if stopped.signal_name == "SIGINT":  # ours as well as nsys's, which took it from us
            raise KeyboardInterrupt from stopped
        raise Repeated(f"{report}: {stopped.message}", code=stopped.code) from stopped
    except CaptureError as error:
        # Nothing is being recorded: an error like any other file's, and named like it.
        raise Repeated(
            f"{report}: {error.message}", code=error.code, remedy=error.remedy
        ) from error
    finally:
        line.clear()


def _carry_manifest(report: Path, sqlite: Path) -> None:
    """The manifest belongs to the report; the analysis looks for it beside the SQLite."""
    manifest, copy = report.with_suffix(".json"), sqlite.with_suffix(".json")
    if not manifest.is_file():
        copy.unlink(missing_ok=True)
        return
    data = manifest.read_bytes()
    if not copy.is_file() or copy.read_bytes() != data:
        # Another analysis of the same report may be reading it.
        write_bytes(copy, data, force=True)


def _prune(keep: Path) -> None:
    folders = [p for p in exports_folder().iterdir() if p.is_dir() and not p.name.startswith(".")]
    folders.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    recent = time.time() - IN_USE_S
    for old in folders[KEEP:]:
        if old != keep and old.stat().st_mtime < recent:
            shutil.rmtree(old, ignore_errors=True)
    remove_left_behind(exports_folder(), _WORK)
