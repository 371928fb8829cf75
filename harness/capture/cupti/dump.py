"""Read the shim's dump: our own records as NumPy arrays, whatever libcupti wrote them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .errors import RecordsDamaged

ABI = 2
MAGIC = b"HCUPTI1\0"


def _record(text: str) -> np.dtype[Any]:
    """A dtype from lines of 'type name name ...'; a name may carry a length in brackets."""
    fields: list[Any] = []
    for line in text.strip().splitlines():
        kind, *names = line.split()
        for word in names:
            name, _, length = word.partition("[")
            fields.append((name, kind, (int(length.rstrip("]")),)) if length else (name, kind))
    return np.dtype(fields)


KERNEL = _record("""
    i8 start end grid_id
    u8 graph_node local_total
    u4 device context stream correlation name graph_id
    i4 grid[3] block[3]
    u4 registers static_shared dynamic_shared shared_executed local_per_thread cluster[3]
    u4 launch_type channel
""")
MEMCPY = _record("""
    i8 start end
    u8 bytes graph_node
    u4 device context stream correlation graph_id flags copy_kind src_kind dst_kind
    u4 src_device src_context dst_device dst_context peer
""")
MEMSET = _record("""
    i8 start end
    u8 bytes graph_node
    u4 device context stream correlation graph_id value memory_kind pad
""")
GRAPH = _record("""
    i8 start end
    u4 device context stream correlation graph_id pad
""")
API = _record("""
    i8 start end
    u4 process thread correlation result name driver
""")
SYNC = _record("""
    i8 start end
    u4 type context stream correlation event pad
""")
OVERHEAD = _record("""
    i8 start end
    u4 kind process thread correlation
""")
EVENT = _record("u4 correlation context stream event")
CONTEXT = _record("u4 context device null_stream pad")
MARKER = _record("""
    i8 timestamp
    u4 flags id process thread name domain
""")
UNKNOWN = _record("""
    u4 kind pad
    u8 count
""")

TABLES = {
    "kernel": (1, KERNEL),
    "memcpy": (2, MEMCPY),
    "memset": (3, MEMSET),
    "graph": (4, GRAPH),
    "api": (5, API),
    "sync": (6, SYNC),
    "overhead": (7, OVERHEAD),
    "event": (8, EVENT),
    "context": (9, CONTEXT),
    "marker": (10, MARKER),
    "unknown": (11, UNKNOWN),
}
"""Name -> (number in the dump, dtype); the C side is shim.h."""

CLOCK = _record("i8 before cupti after monotonic")
HEAD = np.dtype(
    [
        ("magic", "S8"),
        *_record("u4 abi header_version library_version options").descr,
        *_record("i4 driver_version state start_result stop_result capturing graph_early").descr,
        *_record("i8 ignored_starts buffers buffer_bytes refused_buffers broken_buffers").descr,
        *_record("u8 dropped records").descr,
        ("opened", CLOCK),
        ("closed", CLOCK),
    ]
)
_TABLE = np.dtype([("id", "u4"), ("stride", "u4"), ("count", "u8")])


@dataclass(frozen=True)
class Clock:
    """libcupti's clock between two readings of CLOCK_REALTIME, ns."""

    before_ns: int
    cupti_ns: int
    after_ns: int

    @property
    def offset_ns(self) -> int:
        """libcupti minus CLOCK_REALTIME, at the middle of the bracket."""
        return self.cupti_ns - (self.before_ns + self.after_ns) // 2

    @property
    def half_width_ns(self) -> int:
        """How far the offset may be off."""
        return (self.after_ns - self.before_ns + 1) // 2


@dataclass(frozen=True)
class Records:
    """Everything that was recorded on one road: tables by name, strings, and the session's facts.

    Times are libcupti's (or Kineto's), ns since 1970. `opened` and `closed` bracket the session, on
    the torch road by CLOCK_REALTIME alone. `dropped` is None where that road cannot tell.
    """

    road: str
    tables: dict[str, np.ndarray[Any, Any]]
    strings: tuple[str, ...]
    opened: Clock
    closed: Clock
    library_version: int | None
    driver_version: int | None = None
    dropped: int | None = None
    refused_buffers: int = 0
    broken_buffers: int = 0
    buffer_bytes: int = 0
    start_result: int = 0
    stop_result: int = 0
    capturing: bool = False
    extra: dict[str, Any] = field(default_factory=dict)

    def table(self, name: str) -> np.ndarray[Any, Any]:
        """One table, shape (n,), empty where nothing was recorded."""
        return self.tables.get(name, np.empty(0, TABLES[name][1]))


def read_dump(path: Path) -> Records:
    """Read a dump; CaptureError, one line, where it is none or was cut short."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RecordsDamaged(f"{path}: {error.strerror}") from error
    if data[:8] != MAGIC or len(data) < HEAD.itemsize:
        raise RecordsDamaged(f"{path} is not a dump of the CUPTI shim")
    head = np.frombuffer(data, HEAD, 1)[0]
    if head["abi"] != ABI:
        raise RecordsDamaged(f"{path} has layout {head['abi']}, {ABI} was expected")
    names = {number: (name, dtype) for name, (number, dtype) in TABLES.items()}
    tables: dict[str, np.ndarray[Any, Any]] = {}
    strings: tuple[str, ...] | None = None
    at = HEAD.itemsize
    while at < len(data):
        if at + _TABLE.itemsize > len(data):
            raise RecordsDamaged(f"{path} is cut short")
        number, stride, count = np.frombuffer(data, _TABLE, 1, at)[0].tolist()
        at += _TABLE.itemsize
        end = at + stride * count
        if end > len(data):
            raise RecordsDamaged(f"{path} is cut short")
        if number == 0:
            texts = data[at:end].decode(errors="replace").split("\0")
            strings = tuple(texts[:-1])
        elif number in names:
            name, dtype = names[number]
            if stride != dtype.itemsize:
                raise RecordsDamaged(
                    f"{path}: a {name} record has {stride} B, not {dtype.itemsize}"
                )
            tables[name] = np.frombuffer(data, dtype, count, at)
        at = end
    if strings is None:
        raise RecordsDamaged(f"{path} is cut short")
    opened = _clock(head["opened"])
    for name in ("kernel", "memcpy", "memset", "graph"):
        if name in tables:
            tables[name] = _since(opened.cupti_ns, tables[name])
    return Records(
        road="shim",
        tables=tables,
        strings=strings,
        opened=opened,
        closed=_clock(head["closed"]),
        library_version=int(head["library_version"]),
        driver_version=int(head["driver_version"]),
        dropped=int(head["dropped"]),
        refused_buffers=int(head["refused_buffers"]),
        broken_buffers=int(head["broken_buffers"]),
        buffer_bytes=int(head["buffer_bytes"]),
        start_result=int(head["start_result"]),
        stop_result=int(head["stop_result"]),
        capturing=bool(head["capturing"]),
    )


def _since(opened_ns: int, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Without what ran before the session: graphs as a whole are enabled earlier than the others.

    Devices idle when a session opens, so a row with valid times lies on one side of it.
    """
    earlier = (rows["start"] > 0) & (rows["end"] >= rows["start"]) & (rows["end"] <= opened_ns)
    return rows[~earlier]


def _clock(found: Any) -> Clock:
    return Clock(int(found["before"]), int(found["cupti"]), int(found["after"]))
