"""How long threads ran in their ranges, where our recorder noted it (`evidence.CPU_TABLE`)."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from ..model.errors import TraceError
from ..model.evidence import CPU_TABLE
from ..model.intervals import Int64
from ..model.schema import Column, Table
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
