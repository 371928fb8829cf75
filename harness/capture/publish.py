"""Files appear under their final name whole or not at all, and never over someone else's.

A recording is made in a private folder beside its destination; `publish` then moves its files into
place. Locks held by the kernel keep two recordings from using one name at once, and tell a folder
in use from one that a killed recording left; they are gone when their process is. What a recording
was killed over while it replaced an older one, the next recording in that folder puts back.
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
from .errors import NameInUse, NoFreeName, RecordingExists, RecordingNotWritten
from .replaced import SUFFIXES, move, put_back, set_aside, unfinished


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


def _sweep(folder: Path, held: str) -> None:
    """Remove the private folders of killed recordings; never one in use, or to be kept.

    What they were killed over while replacing is put back first, under the lock of its name; that
    of `held` is ours.
    """
    for entry in folder.iterdir():
        if not entry.name.startswith(".") or not entry.name[:-8].endswith(_mark()):
            continue
        with contextlib.suppress(OSError):
            fd = os.open(entry, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                with _named(folder, unfinished(entry), held) as ours:
                    if ours:
                        put_back(entry, folder)
                        shutil.rmtree(entry, ignore_errors=True)
            finally:
                os.close(fd)


@contextlib.contextmanager
def _named(folder: Path, stem: str | None, held: str) -> Iterator[bool]:
    """Whether nobody else records under `stem`, and holds it so meanwhile."""
    if stem is None or stem == held:
        yield True
        return
    lock = _lock(folder, stem)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            _unlock(*lock)


def _hold(
    stack: contextlib.ExitStack, folder: Path, stem: str, *, force: bool, number: bool
) -> str:
    for attempt in range(1, 1000):
        name = stem if attempt == 1 else f"{stem}-{attempt}"
        lock = None
        taken = _taken(folder, name)
        if force or not taken:
            lock = _lock(folder, name)
            if lock is None and not number:
                raise NameInUse(f"another recording is writing {folder / name}.*")
        if lock is not None:
            _sweep(folder, name)
            taken = _taken(folder, name)  # the sweep may have put something back
            if force or not taken:
                stack.callback(_unlock, *lock)
                return name
            _unlock(*lock)
        if taken and not number:
            raise RecordingExists(f"{folder / name}{taken[0]} exists")
    raise NoFreeName(f"no free name like {stem} in {folder}")


def _taken(folder: Path, stem: str) -> list[str]:
    return [suffix for suffix in SUFFIXES if os.path.lexists(folder / f"{stem}{suffix}")]


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
    taken meanwhile without `force`, or the file system refuses; with `force`, killed half-way, the
    next recording in that folder leaves everything as it was.
    """
    if force:
        _replace(place, dict(files))
        return {suffix: place.final(suffix) for suffix in files}
    placed: list[Path] = []
    path = place.folder
    try:
        for suffix in sorted(files, key=lambda suffix: suffix == ".json"):
            path = place.final(suffix)
            move(files[suffix], path)
            placed.append(path)
    except OSError as error:
        for done in placed:  # half a recording is worse than none
            done.unlink(missing_ok=True)
        if isinstance(error, FileExistsError):
            raise RecordingExists(
                f"{path} appeared while recording; nothing was overwritten"
            ) from error
        raise unwritable(place.folder, error) from error
    return {suffix: place.final(suffix) for suffix in files}


def _replace(place: Place, files: dict[str, Path]) -> None:
    try:
        # Not in the working folder, which --keep keeps from being swept.
        aside, fd = _private_folder(place.folder, f".{place.stem[:40]}{_mark()}")
    except OSError as error:
        raise unwritable(place.folder, error) from error
    try:
        manifest = set_aside(aside, place.folder, place.stem, files)
        place.final(".json").unlink(missing_ok=True)
        for suffix in files.keys() - {".json"}:
            os.replace(files[suffix], place.final(suffix))
        for suffix in set(SUFFIXES) - files.keys():
            place.final(suffix).unlink(missing_ok=True)
        os.replace(manifest, place.final(".json"))
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        with contextlib.suppress(OSError):  # what cannot be put back stays for the next recording
            put_back(aside, place.folder)
            shutil.rmtree(aside, ignore_errors=True)
        raise unwritable(place.folder, error) from error
    finally:
        os.close(fd)


def unwritable(folder: Path, error: OSError) -> CaptureError:
    """The error for a folder that takes no more files."""
    return RecordingNotWritten(f"cannot write into {folder}: {error.strerror or error}")
