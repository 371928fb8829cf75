"""Writing files so that no half file ever carries a final name."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from .errors import (
    CannotWrite,
    FileExists,
    NotADirectory,
    NotAFile,
    WouldReplaceInput,
)

_READ = (".sqlite", ".sqlite3", ".db", ".nsys-rep", ".parquet", ".arrow", ".arrows")
"""Endings of the files that a folder is read for."""
_HEAD = 1 << 20
"""Bytes in which a manifest says that it is one: larger JSON may be a trace of gigabytes."""


def refuse_existing(
    path: str | os.PathLike[str], *, force: bool, inputs: Iterable[str | os.PathLike[str]]
) -> None:
    """Raise before the work what the write would raise after it: a taken name, a missing folder.

    A pipe or a device is refused whatever `force` says: a rename would put a file in its place.
    So is one of the `inputs` and the manifest beside it, by whatever path: UsageError.
    """
    check_folder(path)
    if os.path.exists(path) and not os.path.isfile(path):
        raise NotAFile(f"{os.fspath(path)} is not a file")
    for given in inputs:
        for part, what in _parts_of(Path(given)):
            if _is_same(path, part):
                raise WouldReplaceInput(f"{os.fspath(path)} is {what}, and would be replaced")
    if not force and os.path.lexists(path):
        raise _exists(path)


def check_folder(path: str | os.PathLike[str]) -> None:
    """Raise HarnessError where the folder that a file is to be written into cannot take it."""
    folder = Path(path).parent
    if not folder.is_dir():
        raise NotADirectory(f"{folder} is not a directory")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise CannotWrite(f"cannot write into {folder}", remedy="name another folder with -o")


def holds_manifest(path: Path) -> bool:
    """Whether a file is the manifest of a recording, as an export of that name is not."""
    try:
        with path.open("rb") as file:
            return b'"manifest_version"' in file.read(_HEAD)
    except OSError:
        return False


def _parts_of(given: Path) -> Iterator[tuple[Path, str]]:
    """The files that an input is made of, and what each of them is."""
    yield given, f"the input {given}"
    place = Path(os.path.abspath(given))  # `.` has no name
    if not place.name:
        return
    for ending, what in (("-wal", "log"), ("-journal", "journal")):
        yield place.with_name(f"{place.name}{ending}"), f"the {what} of the input {given}"
    stem = place.name.removesuffix(".gz")
    inside: list[str] = []
    if place.is_dir():
        from .analysis.readers.arrow.tables import FOLDER_ENDINGS

        for ending in FOLDER_ENDINGS:
            stem = stem.removesuffix(ending)
        stem = f"{stem}.folder"
        with contextlib.suppress(OSError):  # what reads the folder says why it cannot
            inside = sorted(name for name in os.listdir(place) if name.endswith(_READ))
    manifest = place.with_name(stem or place.name).with_suffix(".json")
    if holds_manifest(manifest):
        yield manifest, f"the manifest of the input {given}"
    for name in inside:
        yield from _parts_of(given / name)


def _is_same(one: str | os.PathLike[str], other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there
        return False


def _exists(path: str | os.PathLike[str]) -> FileExists:
    return FileExists(f"{os.fspath(path)} exists", remedy="add --force to overwrite it")


def write_text(path: Path, text: str, *, force: bool = False) -> None:
    """Write beside the final name, then rename. Raises HarnessError where the file exists.

    A byte of a name that is no UTF-8 is spelled `\\udcff`, which JSON reads back as it was.
    """
    write_bytes(path, text.encode("utf-8", "backslashreplace"), force=force)


def write_bytes(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write beside the final name, then rename. Raises HarnessError where the file exists."""
    write_chunks(path, (data,), force=force)


def write_chunks(path: Path, chunks: Iterable[bytes], *, force: bool = False) -> None:
    """The same for a file that comes in pieces, so that a large one is never held whole."""
    check_folder(path)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for data in chunks:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        place(part, path, force=force)
    finally:
        part.unlink(missing_ok=True)


def place(part: Path, path: Path, *, force: bool = False) -> None:
    """Give a finished file of ours its final name, with the permissions of a new file."""
    mask = os.umask(0)
    os.umask(mask)
    part.chmod(0o666 & ~mask)
    if force:
        part.replace(path)
    else:
        try:
            os.link(part, path)  # fails where the name exists, even by a race
        except FileExistsError:
            raise _exists(path) from None
