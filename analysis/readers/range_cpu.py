"""How long threads ran in their ranges, where our recorder noted it (`evidence.CPU_TABLE`)."""

from __future__ import annotations

from pathlib import Path
from weakref import WeakKeyDictionary

from msgspec import Struct

from ..model.errors import TraceError
from ..model.evidence import CPU_TABLE
from ..model.intervals import Int64
from ..model.schema import Column, Table
from ..model.source import TORCH_PROFILER
from ..model.trace import Trace
from .formats import is_json
from .sqlite.database import open_database

_TABLE = Table(
    CPU_TABLE,
    tuple(Column(name) for name in ("start", "end", "globalTid", "cpuStart", "cpuEnd")),
    optional=True,
)


class RangeCpu(Struct, frozen=True, eq=False):
    """Ranges that one thread opened and closed; arrays have shape (n,), times in ns."""

    start: Int64
    end: Int64
    thread: Int64
    """Its globalTid."""
    ran: Int64
    """For how long the thread had a core."""


def range_cpu(path: Path) -> RangeCpu | None:
    """What a file says; None where it says nothing, or is no SQLite export."""
    if not path.is_file() or is_json(path):
        return None
    try:
        database = open_database(path)
        if not database.has(_TABLE):
            return None
        rows = database.read(_TABLE)
    except TraceError:
        return None
    ran = rows["cpuEnd"] - rows["cpuStart"]
    return RangeCpu(rows["start"], rows["end"], rows["globalTid"], ran.clip(min=0))


_known: WeakKeyDictionary[Trace, RangeCpu] = WeakKeyDictionary()


def noted_in(trace: Trace) -> RangeCpu | None:
    """What the file of a trace says, unless something else is known of the trace."""
    if trace in _known:
        return _known[trace]
    return range_cpu(trace.path) if trace.source.producer != TORCH_PROFILER else None


def know_range_cpu(trace: Trace, noted: RangeCpu) -> None:
    """Say beforehand what was noted, for a trace whose times are not those of its file."""
    _known[trace] = noted
