"""Files appear under their final name whole or not at all, and never over someone else's.

A recording is made in a private folder beside its destination; `publish` then moves its files into
place. Locks held by the kernel keep two recordings from using one name at once, and tell a folder
in use from one that a killed recording left; they are gone when their process is.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import socket
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import CaptureError

SUFFIXES = (".nsys-rep", ".qdstrm", ".sqlite", ".json")


@dataclass(frozen=True)
class Place:
    """Where a recording will stand: `folder/stem.*`; `workdir` is its private folder meanwhile."""

    folder: Path
    stem: str
    workdir: Path

    def final(self, suffix: str) -> Path:
        """`folder/stem` + suffix."""
        return self.folder / f"{self.stem}{suffix}"


@contextlib.contextmanager
def reserve(
    folder: Path, stem: str, *, force: bool = False, number: bool = False, keep: bool = False
) -> Iterator[Place]:
    """Hold `folder/stem` for one recording, with a private folder that goes when this ends.

    Raises CaptureError when the folder cannot be written, when the name is taken (unless `force`)
    or in use by another recording. With `number`, a taken name gets the suffix -2, -3 and so on.
    `keep` leaves the private folder there when the recording fails. Private folders that recordings
    killed on this machine left are removed.
    """
    folder = Path(os.path.abspath(folder))
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error
    with contextlib.ExitStack() as stack:
        stem = _hold(stack, folder, stem, force=force, number=number)
        _sweep(folder)
        try:
            workdir, fd = _private_folder(folder, f".{stem[:40]}{'-' if keep else _mark()}")
        except OSError as error:
            raise unwritable(folder, error) from error
        stack.callback(os.close, fd)
        done = False
        try:
            yield Place(folder, stem, workdir)
            done = True
        finally:
            if done or not keep:
                shutil.rmtree(workdir, ignore_errors=True)


def _mark() -> str:
    """Names folders to sweep; with the machine's name, since a lock may not reach another one."""
    return f".{socket.gethostname()[:40]}.harness-"


def _private_folder(folder: Path, prefix: str) -> tuple[Path, int]:
    """A new folder, and the descriptor whose lock says that it is in use."""
    while True:
        made = Path(tempfile.mkdtemp(prefix=prefix, dir=folder))
        fd = os.open(made, os.O_RDONLY | os.O_CLOEXEC)
        with contextlib.suppress(OSError):  # a file system without locks: nobody sweeps there
            fcntl.flock(fd, fcntl.LOCK_EX)
        if made.exists():
            return made, fd
        os.close(fd)  # somebody swept it before it was locked


def _sweep(folder: Path) -> None:
    """Remove the private folders of killed recordings; never one in use, or to be kept."""
    for entry in folder.iterdir():
        if not entry.name.startswith(".") or not entry.name[:-8].endswith(_mark()):
            continue
        with contextlib.suppress(OSError):
            fd = os.open(entry, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(fd)


def _hold(
    stack: contextlib.ExitStack, folder: Path, stem: str, *, force: bool, number: bool
) -> str:
    for attempt in range(1, 1000):
        name = stem if attempt == 1 else f"{stem}-{attempt}"
        taken = [suffix for suffix in SUFFIXES if os.path.lexists(folder / f"{name}{suffix}")]
        if taken and not force:
            if number:
                continue
            raise CaptureError(
                f"{folder / name}{taken[0]} exists", remedy="use --force, or another --name"
            )
        lock = _lock(folder, name)
        if lock is not None:
            stack.callback(_unlock, *lock)
            return name
        if not number:
            raise CaptureError(
                f"another recording is writing {folder / name}.*",
                remedy="wait for it, or use another --name",
            )
    raise CaptureError(f"no free name like {stem} in {folder}", remedy="use another --output-dir")


def _lock(folder: Path, name: str) -> tuple[int, Path] | None:
    """The held lock, or None where another process holds it."""
    path = folder / f".{name}.lock"
    while True:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise unwritable(folder, error) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            return None
        except OSError:
            return fd, path  # a file system without locks: the moves below still never overwrite
        # The holder before us may have removed the file we opened: then we hold nothing.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(fd), os.stat(path)):
                return fd, path
        os.close(fd)


def _unlock(fd: int, path: Path) -> None:
    path.unlink(missing_ok=True)
    os.close(fd)


def publish(place: Place, files: Mapping[str, Path], *, force: bool = False) -> dict[str, Path]:
    """Move finished files (suffix -> path) to their final names; returns those.

    The manifest comes last: until it is there, nothing describes the other files, and never an old
    one. Old files under other suffixes of the same name go when `force` is set: they belong to the
    recording that is replaced. Raises CaptureError, with everything as it was, when a name was
    taken meanwhile without `force`, or the file system refuses.
    """
    final = {suffix: place.final(suffix) for suffix in files}
    order = sorted(files, key=lambda suffix: suffix == ".json")
    placed: list[Path] = []
    suffix = ""
    try:
        old = _set_aside(place) if force else {}
    except OSError as error:
        raise unwritable(place.folder, error) from error
    try:
        if force:
            place.final(".json").unlink(missing_ok=True)
        for suffix in order:
            (os.replace if force else _move)(files[suffix], final[suffix])
            placed.append(final[suffix])
        for suffix in set(SUFFIXES) - files.keys() if force else ():
            place.final(suffix).unlink(missing_ok=True)
    except OSError as error:
        for path in placed:  # half a recording is worse than none
            path.unlink(missing_ok=True)
        for kept, path in old.items():
            with contextlib.suppress(OSError):
                os.replace(path, place.final(kept))
        if isinstance(error, FileExistsError):
            raise CaptureError(
                f"{final[suffix]} appeared while recording; nothing was overwritten",
                remedy="use --force, or another --name",
            ) from error
        raise unwritable(place.folder, error) from error
    return final


def _set_aside(place: Place) -> dict[str, Path]:
    """Second names, in the private folder, for the files that are to be replaced."""
    aside = place.workdir / "replaced"
    aside.mkdir()
    old = {}
    for suffix in SUFFIXES:
        # Where the file system has no hard links, a failure half-way cannot be undone.
        with contextlib.suppress(OSError):
            os.link(place.final(suffix), aside / f"old{suffix}", follow_symlinks=False)
            old[suffix] = aside / f"old{suffix}"
    return old


def _move(source: Path, target: Path) -> None:
    """Rename without ever replacing: a hard link fails where the name exists."""
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        # A file system without hard links: claim the name, then move over our own claim.
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC))
        os.replace(source, target)


def unwritable(folder: Path, error: OSError) -> CaptureError:
    """The error for a folder that takes no more files."""
    return CaptureError(
        f"cannot write into {folder}: {error.strerror or error}",
        remedy="choose another --output-dir",
    )
