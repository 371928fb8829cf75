"""A store opened: its columns mapped, its facts read."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np

from ..model.flag_waits import FlagWaits
from ..model.source import Diagnostic
from ..model.trace import (
    Calls,
    Device,
    Dropped,
    Holds,
    Operations,
    Overheads,
    Ranges,
    Strings,
    Synchronizations,
    Thread,
    Trace,
    Unusable,
)
from ..readers.metadata import Metadata, source_of
from .codec import decode
from .folder import Array, Table, open_head, read_checked
from .layout import FAILED, GROUPS
from .save import FLAG_WAITS, STRINGS
from .strings import unpack_strings


class Store:
    """One stored trace. `path` is the trace that it holds, whose manifest is read anew.

    Raises StoreError where the folder holds no store that can be believed.
    """

    def __init__(self, folder: Path, path: Path) -> None:
        self.folder = folder
        self.path = path
        head = open_head(folder)
        self.tables = {
            group: Table(folder, group, head["rows"][group], head["types"]) for group in GROUPS
        }
        self.operations = self.tables["operations"]
        self.calls = self.tables["calls"]
        self.ranges = self.tables["ranges"]
        self.names: tuple[str, ...] = tuple(head["names"])
        self.devices = tuple(Device(**device) for device in head["devices"])
        self.processes: tuple[int, ...] = tuple(head["processes"])
        self.threads = tuple(Thread(tid, name) for tid, name in head["threads"])
        self.dropped = Dropped(**head["dropped"])
        self.ranges_dropped = Unusable(**head["ranges_dropped"])
        self.calls_unusable = Unusable(**head["calls_unusable"])
        self.duplicate_calls: int = head["duplicate_calls"]
        self.ambiguous_devices: bool = head["ambiguous_devices"]
        self.misplaced: int = head["misplaced"]
        said = head["metadata"]
        said["diagnostics"] = tuple(
            Diagnostic(**one | {"pids": tuple(one["pids"])}) for one in said["diagnostics"]
        )
        self.source = source_of(Metadata(**said), path)

    @cached_property
    def strings(self) -> Strings:
        return Strings(unpack_strings(read_checked(self.folder / STRINGS)))

    @cached_property
    def flag_waits(self) -> FlagWaits:
        """`call`: rows of the store's calls."""
        found: FlagWaits = decode(read_checked(self.folder / FLAG_WAITS), (FlagWaits,))
        return found

    @property
    def bytes_read(self) -> int:
        """Bytes of columns copied out so far."""
        return sum(table.bytes_read for table in self.tables.values())

    def forget(self) -> None:
        """Give back the memory that reading mapped in."""
        for table in self.tables.values():
            table.forget()

    def threads_rows(self, thread: int) -> tuple[int, int]:
        """Rows of one thread's calls, `[lo, hi)`."""
        return self._of_thread("calls", thread)

    def ranges_rows(self, thread: int) -> tuple[int, int]:
        """Rows of one thread's ranges, `[lo, hi)`."""
        return self._of_thread("ranges", thread)

    def _of_thread(self, group: str, thread: int) -> tuple[int, int]:
        column = self.tables[group]["thread"]
        # Of the column's own type, else all of it would be converted for each search.
        keys = np.array([thread, thread], column.dtype)
        lo = int(np.searchsorted(column, keys[0], side="left"))
        return lo, int(np.searchsorted(column, keys[1], side="right"))

    @cached_property
    def synchronizations(self) -> Synchronizations:
        return Synchronizations(**self.tables["synchronizations"].read(slice(None)))

    @cached_property
    def overheads(self) -> Overheads:
        return Overheads(**self.tables["overheads"].read(slice(None)))

    @cached_property
    def holds(self) -> Holds:
        return Holds(**self.tables["holds"].read(slice(None)))

    def trace(self) -> Trace:
        """All of it, in memory."""
        return self.part(
            Operations(**self.operations.whole()),
            self.calls.whole(),
            Ranges(**self.ranges.whole()),
            self.synchronizations,
            self.overheads,
        )

    def part(
        self,
        operations: Operations,
        calls: dict[str, Array],
        ranges: Ranges,
        synchronizations: Synchronizations,
        overheads: Overheads,
    ) -> Trace:
        """A trace of some rows. All that held devices is part of each: what is known of it is then
        worked out once."""
        flags = calls.pop("flags")
        return Trace(
            path=self.path,
            source=self.source,
            strings=self.strings,
            devices=self.devices,
            processes=self.processes,
            threads=self.threads,
            operations=operations,
            calls=Calls(failed=(flags & FAILED) > 0, names=self.names, **calls),
            synchronizations=synchronizations,
            ranges=ranges,
            overheads=overheads,
            holds=self.holds,
            dropped=self.dropped,
            ranges_dropped=self.ranges_dropped,
            calls_unusable=self.calls_unusable,
            duplicate_calls=self.duplicate_calls,
            ambiguous_devices=self.ambiguous_devices,
            misplaced=self.misplaced,
        )
