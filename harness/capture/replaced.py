"""The files that a recording replaces, kept until the new ones stand.

No file system renames several files at once. So the old ones get second names in a private folder,
beside the new manifest, which leaves it last: as long as it is there, `put_back` can undo what was
done, be it that a move failed or that the process was killed.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

SUFFIXES = (".nsys-rep", ".qdstrm", ".sqlite", ".json")

_NEW = ".json.new"
_KNOWN = "known"
# The folder's name says how far it came: until all old files are in, none has been replaced.
_FILLING, _FILLED = "filling", "filled"


def set_aside(private: Path, folder: Path, stem: str, files: dict[str, Path]) -> Path:
    """Keep `folder/stem.*` in `private`; returns where the new manifest now waits for its move.

    `files` are the new ones by suffix, the manifest among them.
    """
    aside = private / _FILLING
    aside.mkdir()
    known = [_identity(path) for path in files.values()]
    os.replace(files[".json"], aside / f"{stem}{_NEW}")
    for path in _finals(folder, stem):
        known.append(_identity(path))
        if path.is_dir() and not path.is_symlink():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        try:
            os.link(path, aside / path.name, follow_symlinks=False)
        except OSError:  # a file system without hard links
            os.replace(path, aside / path.name)
    (aside / _KNOWN).write_text("\n".join(known))
    aside.rename(private / _FILLED)
    return private / _FILLED / f"{stem}{_NEW}"


def unfinished(private: Path) -> str | None:
    """The stem whose replacing was begun here and not ended."""
    for name in (_FILLED, _FILLING):
        for path in (private / name).glob(f"*{_NEW}"):
            return path.name.removesuffix(_NEW)
    return None


def put_back(private: Path, folder: Path) -> None:
    """Undo an unfinished replacing; nothing where there is none, or where the names have been
    given to other files since. Can be killed and called again."""
    stem = unfinished(private)
    if stem is None:
        return
    aside, filled = private / _FILLING, private / _FILLED
    if filled.is_dir():
        there = _finals(folder, stem)
        known = (filled / _KNOWN).read_text().splitlines()
        if any(_identity(path) not in known for path in there):
            return
        for path in there:
            path.unlink()
        filled.rename(aside)
    for suffix in SUFFIXES:
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            move(aside / f"{stem}{suffix}", folder / f"{stem}{suffix}")


def move(source: Path, target: Path) -> None:
    """Rename without ever replacing: a hard link fails where the name exists."""
    try:
        os.link(source, target, follow_symlinks=False)
    except (FileExistsError, FileNotFoundError):
        raise
    except OSError:
        # A file system without hard links: claim the name, then move over our own claim.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC))
        try:
            os.replace(source, target)
        except OSError:
            target.unlink()
            raise


def _finals(folder: Path, stem: str) -> list[Path]:
    paths = [folder / f"{stem}{suffix}" for suffix in SUFFIXES]
    return [path for path in paths if os.path.lexists(path)]


def _identity(path: Path) -> str:
    """Stays through a rename, and is no other file's."""
    found = path.lstat()
    return f"{found.st_ino} {found.st_mtime_ns}"
