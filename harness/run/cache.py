"""The user's cache: where it is, how large it may grow, and which trace an entry belongs to.

Entries of `traces/` are folders named by the identity of a trace: its place, inode, size and time
of change, samples of its content, the version of this tool. Whatever of that changes, the entry is
never found again, and goes when others need its room.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from ..errors.options import BadLimit
from ..sizes import bytes_of, shown_bytes
from ..version import __version__

SETTING, LIMIT_SETTING = "HARNESS_CACHE", "HARNESS_CACHE_SIZE"
OFF = "off"
LIMIT = 10 * 10**9
"""Bytes that stored traces may take together, unless $HARNESS_CACHE_SIZE says otherwise."""
_SAMPLES, _SAMPLE = 64, 4096
TRACE = "trace.txt"
"""The file in each entry that says which trace it is of."""
_BUILD = ".build-"
_LEFT_BEHIND_S = 24 * 3600


class Entry(Struct, frozen=True):
    """One stored trace, or an export. `used_s`: when it was last looked at, s since 1970."""

    folder: Path
    trace: str
    size: int
    used_s: float


def root() -> Path:
    """The user's cache directory, or $HARNESS_CACHE."""
    given = os.environ.get(SETTING)
    if given and given != OFF:
        return Path(given)
    import platformdirs  # here, and hashlib below: small traces are not cached, and start at once

    return Path(platformdirs.user_cache_dir("nsys-harness"))


def switched_off() -> bool:
    """Whether $HARNESS_CACHE says that no trace is to be stored."""
    return os.environ.get(SETTING) == OFF


def traces_folder() -> Path:
    return root() / "traces"


def exports_folder() -> Path:
    return root() / "exports"


def limit() -> int:
    """How many bytes stored traces may take. Raises UsageError where the setting is no size."""
    given = os.environ.get(LIMIT_SETTING)
    if not given:
        return LIMIT
    try:
        return bytes_of(given)
    except ValueError as error:
        raise BadLimit(f"{LIMIT_SETTING}={given}: {error}") from error


def identity(trace: Path) -> str | None:
    """Name of the entry of a trace; None for one that is still being written.

    Samples are taken all over the file, its header with SQLite's change counter among them, so that
    a file written again with the same size and time of change is another one.
    """
    from ..analysis.readers.sqlite.foreign import pending

    if pending(trace):
        return None
    info = trace.stat()
    facts = (
        __version__, _code(), trace.resolve(), info.st_dev, info.st_ino, info.st_size,
        info.st_mtime_ns,
    )  # fmt: skip
    import hashlib

    digest = hashlib.sha256(os.fsencode("\0".join(map(str, facts))))
    with trace.open("rb") as file:
        last = max(info.st_size - _SAMPLE, 0)
        for k in range(_SAMPLES):
            file.seek(last * k // (_SAMPLES - 1))
            digest.update(file.read(_SAMPLE))
    return digest.hexdigest()[:24]


def _code() -> str:
    """Which analysis this is: a changed one must not give the figures of the one before."""
    import hashlib

    from .. import analysis

    folder = Path(next(iter(analysis.__path__)))
    facts = []
    for place in sorted(p for p in folder.rglob("*.py")):
        info = place.stat()
        facts.append((place.name, info.st_size, info.st_mtime_ns))
    return hashlib.sha256(repr(facts).encode()).hexdigest()


@contextlib.contextmanager
def building(*, cached: bool = True) -> Iterator[Path]:
    """An empty folder beside the entries; what is left of it afterwards is removed.

    In the system's temporary directory ($TMPDIR) where nothing is to be cached, or cannot be.
    """
    place = None
    if cached:
        with contextlib.suppress(OSError):
            traces_folder().mkdir(parents=True, exist_ok=True)
            place = traces_folder()
    try:
        work = Path(tempfile.mkdtemp(prefix=_BUILD, dir=place))
    except OSError:
        work = Path(tempfile.mkdtemp(prefix=_BUILD))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def publish(work: Path, name: str) -> Path:
    """Make a built folder the entry of this name, and say where it is now.

    An entry that could not be believed gives way; a folder that cannot be moved stays.
    """
    final = traces_folder() / name
    if work.parent != final.parent:
        return work
    shutil.rmtree(final, ignore_errors=True)
    try:
        work.rename(final)
    except OSError:  # another process was faster
        return work
    return final


def touch(folder: Path) -> None:
    """Remember that an entry was used."""
    with contextlib.suppress(OSError):
        os.utime(folder)


def entries(place: Path | None = None) -> list[Entry]:
    """All stored traces, or all exports where `place` is their folder, the one used last first."""
    found = []
    with contextlib.suppress(OSError):
        for folder in (place or traces_folder()).iterdir():
            if folder.name.startswith("."):
                continue
            with contextlib.suppress(OSError):
                named = folder / TRACE
                trace = named.read_text("utf-8", "surrogateescape") if named.is_file() else "?"
                used = folder.stat().st_mtime
                found.append(Entry(folder, trace, size_of(folder), used))
    return sorted(found, key=lambda entry: -entry.used_s)


def size_of(folder: Path) -> int:
    """Bytes of all files in a folder."""
    total = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def prune() -> None:
    """Remove the entries used longest ago until the others fit, and what killed runs left."""
    room = limit()
    for entry in entries():
        room -= entry.size
        if room < 0:
            shutil.rmtree(entry.folder, ignore_errors=True)
    remove_left_behind(traces_folder(), _BUILD)


def remove_left_behind(place: Path, prefix: str) -> None:
    """Remove the working folders in `place` that runs which were killed left a day ago or more."""
    with contextlib.suppress(OSError):
        for folder in place.glob(f"{prefix}*"):
            with contextlib.suppress(OSError):  # another run may remove it at the same time
                if time.time() - folder.stat().st_mtime > _LEFT_BEHIND_S:
                    shutil.rmtree(folder, ignore_errors=True)


def clear() -> tuple[int, int]:
    """Remove every stored trace and every export: (folders removed, their bytes)."""
    count = freed = 0
    for part in (traces_folder(), exports_folder()):
        if not part.is_dir():
            continue
        for folder in part.iterdir():
            if folder.is_dir() and not folder.is_symlink():
                size = size_of(folder)
                shutil.rmtree(folder, ignore_errors=True)
                if not folder.exists():
                    count, freed = count + 1, freed + size
    return count, freed


def listing() -> list[str]:
    """For a person: one line for each stored trace and each export, then the total of each kind."""
    lines, totals = [], []
    for place, what, bound in (
        (traces_folder(), "", f"at most {shown_bytes(limit())}"),
        (exports_folder(), "export of ", "those of the reports used last"),
    ):
        found = entries(place)
        for entry in found:
            used = time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.used_s))
            lines.append(f"{shown_bytes(entry.size):>9}  {used}  {what}{entry.trace}")
        total = shown_bytes(sum(entry.size for entry in found))
        totals.append(f"{total:>9}  in {place} ({bound})")
    return lines + totals
