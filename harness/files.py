"""Writing files so that no half file ever carries a final name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from pathlib import Path

from .errors import HarnessError


def refuse_existing(path: str | os.PathLike[str], *, force: bool) -> None:
    """Raise before the work what the write would raise after it."""
    if not force and Path(path).exists():
        raise _exists(path)


def _exists(path: str | os.PathLike[str]) -> HarnessError:
    return HarnessError(f"{os.fspath(path)} exists", remedy="add --force to overwrite it")


def write_text(path: Path, text: str, *, force: bool = False) -> None:
    """Write beside the final name, then rename. Raises HarnessError where the file exists."""
    write_bytes(path, text.encode("utf-8"), force=force)


def write_bytes(path: Path, data: bytes, *, force: bool = False) -> None:
    """Write beside the final name, then rename. Raises HarnessError where the file exists."""
    write_chunks(path, (data,), force=force)


def write_chunks(path: Path, chunks: Iterable[bytes], *, force: bool = False) -> None:
    """The same for a file that comes in pieces, so that a large one is never held whole."""
    if not path.parent.is_dir():
        raise HarnessError(f"{path.parent} is no folder", remedy="create it first")
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            for data in chunks:
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
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
    finally:
        part.unlink(missing_ok=True)
