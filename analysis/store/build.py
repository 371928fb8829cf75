"""From an SQLite export to a store within a budget of memory, for rows in any order.

Each table is read a stretch at a time and put aside as sorted runs (`runs`), which are merged by
ranges of time; calls find their operations by ranges of their ids (`join`). What stays in memory is
the texts, the synchronisation and overhead rows, and one range of rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from .. import schema
from ..arrays import Bool, Code, factorize, ordered
from ..causes.calls import SYNCHRONIZE
from ..devices import physical_devices
from ..intervals import Int64
from ..metadata import read_metadata
from ..oprows import join_operations, sane
from ..reader import open_export, range_names
from ..schema import NULL, PID_MASK, CopyKind, Kind, pid_of
from ..sqlite import Columns, Database
from ..trace import Dropped
from .folder import Array, Writer, write_checked
from .join import Side, join_calls
from .layout import FAILED, GROUPS, LAUNCHED, REPEATED, SYNCHRONIZING
from .runs import Runs
from .save import STRINGS
from .strings import pack_strings

_ROW_BYTES = 600
"""Memory that one row of a range takes while it is sorted and written."""
_FIXED = 200 << 20

Progress = Callable[[str, int, int], None]


def build_store(path: Path, folder: Path, budget: int, progress: Progress) -> None:
    """Fill an empty folder, taking about `budget` bytes of memory. Raises TraceError."""
    most = min(max((budget - _FIXED) // _ROW_BYTES, 1 << 14), 1 << 21)
    _Builder(open_export(path), folder, most, progress).build()


class _Builder:
    def __init__(self, database: Database, folder: Path, most: int, progress: Progress) -> None:
        self.database, self.folder, self.most, self.progress = database, folder, most, progress
        self.writer = Writer(folder)
        rows = database.read(schema.STRINGS)
        self.strings = dict(zip(rows["id"].tolist(), rows["value"], strict=True))
        self.pids: set[int] = set()
        self.tids: set[int] = set()
        self.users: set[tuple[int, int]] = set()
        self.callers: set[int] = set()
        self.call_names: set[int] = set()
        self.dropped = Dropped()
        self.latest: list[int] = []

    def build(self) -> None:
        calls = self._read_calls()
        operations = self._read_operations()
        sync = self._read_synchronizations()
        ranges = self._read_ranges()
        self.pids.discard(NULL)
        self.tids.discard(NULL)
        self.pid = np.array(sorted(self.pids), np.int64)
        self.tid = np.array(sorted(self.tids), np.int64)
        names = self._write_calls(calls)
        devices, ambiguous = self._write_operations(operations)
        self._write_overheads()
        self._write_ranges(ranges)
        for name in ("start", "end", "stream", "correlation", "kind", "process"):
            self.writer.append("synchronizations", {name: sync[name], "start": sync["start"]}) \
                if False else None  # fmt: skip
        self.writer.append("synchronizations", sync)
        self.writer.close_columns()
        duplicates = self._join(sync)
        write_checked(self.folder / STRINGS, pack_strings(self.strings))
        threads = self.database.read(schema.THREAD_NAMES)
        named = dict(zip(threads["globalTid"].tolist(), threads["nameId"].tolist(), strict=True))
        self.writer.finish(
            {
                "names": names,
                "devices": devices,
                "processes": self.pid.tolist(),
                "threads": [
                    (tid, self.strings.get(named[tid], "") if tid in named else "")
                    for tid in self.tid.tolist()
                ],
                "dropped": asdict(self.dropped),
                "duplicate_calls": duplicates,
                "ambiguous_devices": ambiguous,
                "metadata": asdict(read_metadata(self.database)),
            }
        )
