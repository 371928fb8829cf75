"""Column files: written one stretch after another, opened without being read.

A folder is a store once `store.json` is in it, which is written last. It names every file with its
size, time of change and checksum, and carries a checksum of its own: what was cut short or touched
is no store. Nothing waits for the disk: whether all of it arrived there is checked, by the
checksums, once after each start of the machine.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import zlib
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..model.intervals import Int64
from ..model.schema import MAX_TIME
from .errors import StoreError
from .layout import BLOCK, FORMAT, GROUPS, INDEXED, narrow

Array = NDArray[Any]
HEAD = "store.json"
_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Writer:
    """Fills a folder. `append` in any number of stretches, then `finish`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._files: dict[str, Any] = {}
        self._types: dict[str, np.dtype[Any]] = {}
        self._sums: dict[str, int] = {}
        self._rows: dict[str, int] = dict.fromkeys(GROUPS, 0)
        self._ends: dict[str, list[Int64]] = {group: [] for group in INDEXED}
        self._rest: dict[str, Int64] = {group: np.empty(0, np.int64) for group in INDEXED}

    def append(
        self,
        group: str,
        columns: dict[str, Array],
        extent: dict[str, tuple[int, int]] | None = None,
    ) -> None:
        """Add rows. `extent` bounds the values of all stretches, where there are several."""
        for name, logical in GROUPS[group].items():
            if name not in columns:
                continue
            key = f"{group}.{name}"
            if key not in self._files:
                values = columns[name]
                low, high = (extent or {}).get(name) or (
                    (int(values.min()), int(values.max())) if len(values) else (0, 0)
                )
                self._types[key] = narrow(logical, low, high)
                self._files[key] = (self.folder / f"{key}.bin").open("wb")
            values = np.ascontiguousarray(columns[name], self._types[key])
            data = values.view(np.uint8).data
            self._files[key].write(data)
            self._sums[f"{key}.bin"] = zlib.crc32(data, self._sums.get(f"{key}.bin", 0))
        self._rows[group] += len(columns["start"])
        if group in INDEXED:
            self._index(group, np.asarray(columns["end"], np.int64))

    def _index(self, group: str, ends: Int64) -> None:
        ends = np.concatenate((self._rest[group], ends))
        whole = len(ends) // BLOCK * BLOCK
        self._ends[group].append(ends[:whole].reshape(-1, BLOCK).max(axis=1))
        self._rest[group] = ends[whole:]

    def close_columns(self) -> None:
        """Write out what was appended, and the index; single columns may still be put."""
        for group, names in GROUPS.items():
            for name, logical in names.items():
                key = f"{group}.{name}"
                if key not in self._files and not (self.folder / f"{key}.bin").exists():
                    self._types[key] = np.dtype(logical)
                    (self.folder / f"{key}.bin").touch()
        for file in self._files.values():
            file.close()
        for group in INDEXED:
            rest = self._rest[group]
            last = [rest.max(keepdims=True)] if len(rest) else []
            index = np.concatenate([*self._ends[group], *last, np.empty(0, np.int64)])
            index.astype(np.int64).tofile(self.folder / f"{group}.latest.bin")

    def column(self, group: str, name: str, logical_range: tuple[int, int]) -> Array:
        """A column of its full length to be filled in place, after the rows of its group."""
        key = f"{group}.{name}"
        self._types[key] = narrow(GROUPS[group][name], *logical_range)
        path, rows = self.folder / f"{key}.bin", self._rows[group]
        if rows == 0:
            path.touch()
            return np.empty(0, self._types[key])
        return np.memmap(path, self._types[key], "w+", shape=(rows,))

    def again(self, group: str, name: str) -> Array:
        """A written column, to be changed in place."""
        self._sums.pop(f"{group}.{name}.bin", None)
        return self._mapped(group, name, "r+")

    def written(self, group: str, name: str) -> Array:
        """A written column, to be read."""
        return self._mapped(group, name, "r")

    def _mapped(self, group: str, name: str, mode: Literal["r", "r+"]) -> Array:
        key = f"{group}.{name}"
        if self._rows[group] == 0:
            return np.empty(0, self._types[key])
        return np.memmap(self.folder / f"{key}.bin", self._types[key], mode)

    def rows(self, group: str) -> int:
        """How many rows were appended."""
        return self._rows[group]

    def finish(self, facts: dict[str, Any]) -> None:
        """Make it a store. `facts`: what else is to be kept, as JSON can hold it."""
        files = {}
        for path in sorted(self.folder.glob("*.bin")):
            info = path.stat()
            known = self._sums.get(path.name)
            files[path.name] = [
                info.st_size, info.st_mtime_ns, checksum(path) if known is None else known
            ]  # fmt: skip
        head = {
            "format": FORMAT,
            "boot": _boot(),
            "rows": self._rows,
            "types": {key: kind.name for key, kind in self._types.items()},
            "files": files,
            **facts,
        }
        write_checked(self.folder / HEAD, json.dumps(head).encode())


def _boot() -> str:
    """Which start of the machine this is; empty where the system does not say."""
    try:
        return _BOOT.read_text().strip()
    except OSError:
        return ""


def checksum(path: Path) -> int:
    """CRC-32 of a file."""
    total = 0
    with path.open("rb") as file:
        while data := file.read(1 << 22):
            total = zlib.crc32(data, total)
    return total


def write_checked(path: Path, data: bytes) -> None:
    """Data behind its checksum, written beside the final name and renamed."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(f"{zlib.crc32(data):08x}\n".encode())
            file.write(data)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_checked(path: Path) -> bytes:
    """What `write_checked` wrote. Raises StoreError where it is anything else."""
    try:
        said, _, data = path.read_bytes().partition(b"\n")
    except OSError as error:
        raise StoreError(f"{path}: {error.strerror}") from error
    if said != f"{zlib.crc32(data):08x}".encode():
        raise StoreError(f"{path} is damaged")
    return data


def forget(*arrays: Array) -> None:
    """Give back the pages of mapped columns: what was written to them stays in the file."""
    for array in arrays:
        mapped = getattr(array, "_mmap", None)
        if mapped is not None:
            mapped.madvise(mmap.MADV_DONTNEED)


class Table:
    """The columns of one group, mapped; what is read is copied and counted."""

    def __init__(self, folder: Path, group: str, rows: int, types: dict[str, str]) -> None:
        self.rows = rows
        self.bytes_read = 0
        self._logical = GROUPS[group]
        self._maps: list[mmap.mmap] = []
        self._columns: dict[str, Array] = {
            name: self._map(folder / f"{group}.{name}.bin", np.dtype(types[f"{group}.{name}"]))
            for name in GROUPS[group]
        }
        self.latest: Int64 = np.empty(0, np.int64)
        if group in INDEXED:
            self.latest = self._map(folder / f"{group}.latest.bin", np.dtype(np.int64))

    def _map(self, path: Path, kind: np.dtype[Any]) -> Array:
        if path.stat().st_size == 0:
            return np.empty(0, kind)
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        self._maps.append(mapped)
        return np.frombuffer(mapped, kind)

    @property
    def last_end(self) -> int:
        """When the last of the rows ends, ns; a time before all others where there is none."""
        return int(self.latest.max(initial=-MAX_TIME))

    def __getitem__(self, name: str) -> Array:
        """The whole column as it lies on disk: for searches, which touch little of it."""
        return self._columns[name]

    def read(self, rows: Int64 | slice, *names: str) -> dict[str, Array]:
        """Copies of these rows of some columns (all by default), in their declared types."""
        found = {}
        for name in names or self._logical:
            part = self._columns[name][rows]
            self.bytes_read += part.nbytes
            found[name] = part.astype(self._logical[name])
        return found

    def whole(self) -> dict[str, Array]:
        """All rows of all columns; those that lie there in their declared type are not copied."""
        self.bytes_read += sum(column.nbytes for column in self._columns.values())
        return {
            name: self._columns[name].astype(kind, copy=False)
            for name, kind in self._logical.items()
        }

    def one(self, rows: Int64 | slice, name: str) -> Array:
        """The same for one column."""
        return self.read(rows, name)[name]

    def forget(self) -> None:
        """Give back the pages that reading touched: they stay in the system's cache alone."""
        for mapped in self._maps:
            mapped.madvise(mmap.MADV_DONTNEED)

    def touching(self, lo: int, hi: int, first: int, last: int) -> Int64:
        """Of rows `[lo, hi)`, sorted by start, those with start <= last and end >= first."""
        start = self._columns["start"][lo:hi]
        inner = lo + int(np.searchsorted(start, first, side="left"))
        stop = lo + int(np.searchsorted(start, last, side="right"))
        here = np.arange(inner, max(stop, inner))
        if inner == lo:
            return here
        blocks = lo // BLOCK + np.flatnonzero(
            self.latest[lo // BLOCK : (inner - 1) // BLOCK + 1] >= first
        )
        earlier = [here[:0]]
        for block in blocks.tolist():
            a, b = max(block * BLOCK, lo), min((block + 1) * BLOCK, inner)
            earlier.append(a + np.flatnonzero(self.one(slice(a, b), "end") >= first))
        return np.concatenate((*earlier, here))


def open_head(folder: Path) -> dict[str, Any]:
    """What `store.json` says, after a look at every file that it names. Raises StoreError."""
    head: dict[str, Any] = json.loads(read_checked(folder / HEAD))
    if head.get("format") != FORMAT:
        raise StoreError(f"{folder} is a store of format {head.get('format')}, not {FORMAT}")
    rested = not head["boot"] or head["boot"] != _boot()
    for name, (size, changed, total) in head["files"].items():
        try:
            info = (folder / name).stat()
        except OSError as error:
            raise StoreError(f"{folder / name}: {error.strerror}") from error
        if (info.st_size, info.st_mtime_ns) != (size, changed):
            raise StoreError(f"{folder / name} has changed")
        if rested and checksum(folder / name) != total:
            raise StoreError(f"{folder / name} is damaged")
    for group, names in GROUPS.items():
        for name in names:
            width = np.dtype(head["types"][f"{group}.{name}"]).itemsize
            if head["files"][f"{group}.{name}.bin"][0] != width * head["rows"][group]:
                raise StoreError(f"{folder}: {group}.{name} is too short")
    if rested:
        with contextlib.suppress(OSError):  # a cache that can only be read is checked each time
            write_checked(folder / HEAD, json.dumps(head | {"boot": _boot()}).encode())
    return head
