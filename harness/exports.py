"""SQLite exports of .nsys-rep reports, kept in the user's cache: a report is exported once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from pathlib import Path

import click

from .cache import remove_left_behind, root
from .errors import HarnessError
from .files import write_bytes

KEEP = 20
"""Exports kept; the ones used longest ago go first."""
IN_USE_S = 900
"""An export used less than this ago stays: another process may still be reading it."""
_WORK = ".export-"


def cache_folder() -> Path:
    """Where exports live: the user's cache directory, or $HARNESS_CACHE."""
    return root() / "exports"


def exported(report: Path, nsys: str | None = None) -> Path:
    """The SQLite export of a report: from the cache, or exported now with the nsys found.

    The user's own files are never touched. Raises HarnessError or CaptureError, one line, where
    the report cannot be read or nsys cannot export it.
    """
    try:
        info = report.stat()
    except OSError as error:
        raise HarnessError(f"{report}: {error.strerror}") from error
    if not report.is_file():
        raise HarnessError(f"{report} is not a file")
    if info.st_size == 0:
        raise HarnessError(f"{report} is empty", remedy="record it again")
    folder = cache_folder() / _identity(report, info)
    sqlite = folder / f"{report.stem}.sqlite"
    try:
        if not sqlite.is_file():
            _export(report, sqlite, nsys)
        _carry_manifest(report, sqlite)
    except OSError as error:
        raise HarnessError(
            f"{report}: its export cannot be kept in {cache_folder()} ({error.strerror or error})",
            remedy="name a folder that can be written in HARNESS_CACHE",
        ) from error
    with contextlib.suppress(OSError):  # a cache that can only be read needs no tidying
        os.utime(folder)
        _prune(keep=folder)
    return sqlite


def _identity(report: Path, info: os.stat_result) -> str:
    facts = (report.resolve(), info.st_dev, info.st_ino, info.st_size, info.st_mtime_ns)
    return hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:24]


def _export(report: Path, sqlite: Path, nsys: str | None) -> None:
    from .capture.nsys_export import export_sqlite
    from .capture.nsys_features import require_nsys

    features = require_nsys(nsys)
    sqlite.parent.parent.mkdir(parents=True, exist_ok=True)
    click.echo(f"exporting {report.name} with nsys {features.version} ...", err=True)
    with tempfile.TemporaryDirectory(prefix=_WORK, dir=sqlite.parent.parent) as work:
        made = Path(work) / sqlite.name
        export_sqlite(features, report, made)
        sqlite.parent.mkdir(exist_ok=True)
        made.replace(sqlite)


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
    folders = [p for p in cache_folder().iterdir() if p.is_dir() and not p.name.startswith(".")]
    folders.sort(key=lambda p: p.stat().st_mtime, reverse=True)
    recent = time.time() - IN_USE_S
    for old in folders[KEEP:]:
        if old != keep and old.stat().st_mtime < recent:
            shutil.rmtree(old, ignore_errors=True)
    remove_left_behind(cache_folder(), _WORK)
