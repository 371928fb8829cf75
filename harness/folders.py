"""A folder in place of a trace: all traces in it, or the newest where a command takes one."""

from __future__ import annotations

import gzip
import os
from collections.abc import Sequence
from pathlib import Path

from . import talk
from .analysis.readers.arrow.tables import FOLDER_ENDINGS, is_columnar
from .analysis.readers.formats import GZIP, is_json
from .run.errors import NoTracesInFolder

_TABLES = (".sqlite", ".sqlite3")
_REPORT = ".nsys-rep"
_JSON = (".json", ".json.gz")
_STREAMS = (".arrow", ".arrows")
_LOOKED_AT = 1 << 18
"""Bytes of a JSON file in which `traceEvents` stands, if it is torch.profiler's."""
_MOST_SUBFOLDERS = 1000


def expanded(names: Sequence[str]) -> tuple[str, ...]:
    """The same names, a folder's traces in its place; a folder of tables is a trace itself.

    Raises NoTracesInFolder.
    """
    return tuple(path for name in names for path in _all(name))


def newest(name: str) -> str:
    """The same name, or of a folder the trace that was written last, which is said.

    Raises NoTracesInFolder.
    """
    found = _all(name)
    if len(found) == 1:
        return found[0]
    chosen = max(found, key=lambda path: (os.stat(path).st_mtime_ns, path))
    talk.say(f"{chosen}: the newest of {len(found)} traces in {name}")
    return chosen


def _all(name: str) -> list[str]:
    folder = Path(name)
    if not folder.is_dir() or _holds_tables(folder):
        return [name]
    found = traces_in(folder)
    if not found:
        inside = next((one for one in _subfolders(folder) if traces_in(one)), None)
        raise NoTracesInFolder(
            f"{name} holds no traces",
            remedy=f"{inside} does: name that" if inside is not None else None,
        )
    return [str(path) for path in found]


def traces_in(folder: Path) -> list[Path]:
    """The traces in a folder, by name: exports, reports that have none beside them, folders of
    tables, and torch.profiler's JSON. Raises OSError where it cannot be listed."""
    return sorted(path for path in folder.iterdir() if _is_trace(path))


def _is_trace(path: Path) -> bool:
    name = path.name
    if name.startswith("."):
        return False
    if path.is_dir():
        return _holds_tables(path)
    if name.endswith(_STREAMS):
        return is_columnar(path)
    if name.endswith(_TABLES):
        return path.is_file() and not _is_results(path)
    if name.endswith(_REPORT):
        return path.is_file() and not path.with_suffix(".sqlite").exists()
    if not name.endswith(_JSON) or not path.is_file():
        return False
    # Beside a recording stands its manifest, or what was exported of it.
    stem = name.removesuffix(".gz").removesuffix(".json")
    beside = (path.with_name(stem + ending) for ending in (*_TABLES, _REPORT))
    return not any(map(os.path.exists, beside)) and _holds_events(path)


def _holds_tables(folder: Path) -> bool:
    """Whether it is one trace, or by its name is meant to be: its reader says what it lacks."""
    return folder.name.endswith(FOLDER_ENDINGS) or is_columnar(folder)


def _is_results(path: Path) -> bool:
    from .bench.results_file import is_results

    return is_results(path)


def _holds_events(path: Path) -> bool:
    """Whether this JSON is a list of events, and no manifest or settings."""
    if not is_json(path):
        return False
    try:
        with path.open("rb") as file:
            packed = file.read(len(GZIP)) == GZIP
        with gzip.open(path) if packed else path.open("rb") as file:
            start = file.read(_LOOKED_AT)
    except (OSError, EOFError):
        return False
    return b'"traceEvents"' in start or (start.lstrip()[:1] == b"[" and b'"ph"' in start)


def _subfolders(folder: Path) -> list[Path]:
    found = (path for path in sorted(folder.iterdir()) if not path.name.startswith("."))
    return [path for path in found if path.is_dir()][:_MOST_SUBFOLDERS]
