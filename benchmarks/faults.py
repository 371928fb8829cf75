"""Faults of recordings, planted into the rows of sound ones.

A trace is an SQLite export of nsys or the JSON of torch.profiler. `Recording` gives its rows as
lists that a fault edits in place, and writes them back in the same format.
"""

from __future__ import annotations

import gzip
import json
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

US, MS = 1_000, 1_000_000

_GPU = {"KERNEL": "kernel", "MEMCPY": "copy", "MEMSET": "set"}
_CATEGORIES = {"kernel": "kernel", "gpu_memcpy": "copy", "gpu_memset": "set"}
_API = ("cuda_runtime", "cuda_driver", "hip_runtime")


@dataclass
class Row:
    """A row of the file: GPU work, a call or a range. Times in ns."""

    kind: str
    start: int
    end: int
    correlation: int = 0
    device: int = 0
    node: int = 0
    name: str = ""
    at: Any = None
    """Where it stands in the file."""
    gone: bool = False
    changed: bool = False

    def move(self, start_ns: int, end_ns: int | None = None) -> None:
        """Its edges, earlier or later; by as much where one is given."""
        self.start += start_ns
        self.end += start_ns if end_ns is None else end_ns
        self.changed = True


@dataclass
class Recording:
    """The rows of a trace."""

    path: Path
    gpu: list[Row] = field(default_factory=list)
    calls: list[Row] = field(default_factory=list)
    ranges: list[Row] = field(default_factory=list)

    @property
    def kernels(self) -> list[Row]:
        return [row for row in self.gpu if row.kind == "kernel"]

    @property
    def span(self) -> tuple[int, int]:
        return min(row.start for row in self.gpu), max(row.end for row in self.gpu)

    def save(self, path: Path) -> None:
        """Write it with what was changed."""
        raise NotImplementedError


class SqliteRecording(Recording):
    """An export of nsys, or of our own recorder."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as base:
            tables = {row[0] for row in base.execute("SELECT name FROM sqlite_master")}
            texts = dict(base.execute("SELECT id, value FROM StringIds"))
            for suffix, kind in _GPU.items():
                table = f"CUPTI_ACTIVITY_KIND_{suffix}"
                if table in tables:
                    columns = [row[1] for row in base.execute(f"PRAGMA table_info({table})")]
                    node = "graphNodeId" if "graphNodeId" in columns else "0"
                    for at, start, end, ids, device, of in base.execute(
                        f"SELECT rowid, start, end, correlationId, deviceId, {node} FROM {table}"
                    ):
                        self.gpu.append(Row(kind, start, end, ids, device, of or 0, at=(table, at)))
            table = "CUPTI_ACTIVITY_KIND_RUNTIME"
            for at, start, end, ids, name in base.execute(
                f"SELECT rowid, start, end, correlationId, nameId FROM {table}"
            ):
                row = Row("call", start, end, ids, name=texts.get(name, ""), at=(table, at))
                self.calls.append(row)
            if "NVTX_EVENTS" in tables:
                for at, start, end, text, name in base.execute(
                    "SELECT rowid, start, end, text, textId FROM NVTX_EVENTS WHERE end NOT NULL"
                ):
                    said = text or texts.get(name, "")
                    self.ranges.append(Row("range", start, end, name=said, at=("NVTX_EVENTS", at)))

    def save(self, path: Path) -> None:
        shutil.copyfile(self.path, path)
        with closing(sqlite3.connect(path)) as base:
            for row in (*self.gpu, *self.calls, *self.ranges):
                table, at = row.at
                if row.gone:
                    base.execute(f"DELETE FROM {table} WHERE rowid = ?", (at,))
                elif row.changed:
                    base.execute(
                        f"UPDATE {table} SET start = ?, end = ?, correlationId = ?, deviceId = ? "
                        "WHERE rowid = ?",
                        (row.start, row.end, row.correlation, row.device, at),
                    )
            base.commit()


class JsonRecording(Recording):
    """A trace of torch.profiler."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        data = path.read_bytes()
        self._whole = json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
        for at, event in enumerate(self._whole["traceEvents"]):
            category, args = event.get("cat"), event.get("args", {})
            if event.get("ph") != "X":
                continue
            start = round(event["ts"] * US)
            row = Row(
                "", start, start + round(event["dur"] * US), args.get("correlation", 0),
                args.get("device", 0), name=str(event["name"]), at=at,
            )  # fmt: skip
            if category in _CATEGORIES:
                row.kind = _CATEGORIES[category]
                self.gpu.append(row)
            elif category in _API:
                row.kind = "call"
                self.calls.append(row)
            elif category == "user_annotation":
                row.kind = "range"
                self.ranges.append(row)

    def save(self, path: Path) -> None:
        events, gone = list(self._whole["traceEvents"]), set()
        for row in (*self.gpu, *self.calls, *self.ranges):
            if row.gone:
                gone.add(row.at)
            elif row.changed:
                args = events[row.at]["args"]
                changed = {"correlation": row.correlation, "device": row.device}
                events[row.at] = events[row.at] | {
                    "ts": row.start / US, "dur": (row.end - row.start) / US, "args": args | changed,
                }  # fmt: skip
        kept = [event for at, event in enumerate(events) if at not in gone]
        path.write_text(json.dumps(self._whole | {"traceEvents": kept}))


def opened(path: Path) -> Recording:
    """The rows of one trace."""
    return SqliteRecording(path) if path.suffix == ".sqlite" else JsonRecording(path)


@dataclass(frozen=True)
class Fault:
    """One way in which a recording is wrong, and how much of it."""

    kind: str
    size: str
    plant: Callable[[Recording, random.Random], bool]
    """Edits the rows; False where the trace has nothing to plant it in."""
    by_chance: bool = True
    """Whether it differs from seed to seed."""


def _lose(rows: list[Row], share: float, rng: random.Random) -> list[Row]:
    lost = rng.sample(rows, max(1, round(share * len(rows)))) if rows else []
    for row in lost:
        row.gone = True
    return lost


def _nodes(share: float) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        nodes = [row for row in trace.gpu if row.node]
        if len({row.correlation for row in nodes}) < 10:
            return False
        return bool(_lose(nodes, share, rng))

    return plant


def _of(kind: str, share: float, *, calls: bool) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        launches = {row.correlation for row in trace.calls if "GraphLaunch" not in row.name}
        rows = [row for row in trace.gpu if row.kind == kind and row.correlation in launches]
        if len(rows) < 20:
            return False
        ids = {row.correlation for row in _lose(rows, share, rng)}
        for row in trace.calls if calls else ():
            row.gone = row.correlation in ids
        return True

    return plant


def _clock(ns: int, *, drift: bool = False) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        del rng
        first, last = trace.span
        for row in trace.gpu:
            row.move(ns * (row.start - first) // (last - first) if drift else ns)
        return True

    return plant


def _overrun(ns: int) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        rng.choice(trace.kernels[: -len(trace.kernels) // 4]).move(0, ns)
        return True

    return plant


def _early(rows: int) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        known = {row.correlation for row in trace.calls}
        found = [row for row in trace.kernels if row.correlation in known]
        for row in rng.sample(found, min(rows, len(found) // 4)):
            row.move(-3_000 * MS)
        return bool(found)

    return plant


def _device(share: float) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        for row in rng.sample(trace.gpu, max(1, round(share * len(trace.gpu)))):
            row.device, row.changed = row.device + 1, True
        return True

    return plant


def _shuffled(share: float) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        rows = rng.sample(trace.gpu, max(2, round(share * len(trace.gpu))))
        ids = [row.correlation for row in rows]
        rng.shuffle(ids)
        for row, given in zip(rows, ids, strict=True):
            row.correlation, row.changed = given, True
        return len(set(ids)) > 10

    return plant


def _stops(trace: Recording, rng: random.Random) -> bool:
    del rng
    first, last = trace.span
    for row in trace.gpu:
        row.gone = row.start > (first + last) // 2
    return True


def _ranges(count: int) -> Callable[[Recording, random.Random], bool]:
    def plant(trace: Recording, rng: random.Random) -> bool:
        steps = [r for r in trace.ranges if r.name.startswith(("Step ", "ProfilerStep#"))]
        if len(steps) < 10:
            return False
        for row in rng.sample(steps[1:-1], count):
            row.gone = True
        return True

    return plant


FAULTS = (
    *(Fault("graph nodes lost", f"{s:.1%}", _nodes(s)) for s in (0.005, 0.02, 0.1, 0.3)),
    *(Fault("kernels lost", f"{s:.1%}", _of("kernel", s, calls=False)) for s in (0.005, 0.05, 0.3)),
    *(
        Fault("kernels lost with their calls", f"{s:.0%}", _of("kernel", s, calls=True))
        for s in (0.02, 0.05, 0.1, 0.3)
    ),
    Fault("copies lost", "50%", _of("copy", 0.5, calls=False)),
    Fault("GPU rows stop", "50%", _stops, by_chance=False),
    *(
        Fault("GPU clock ahead", f"{ns // US} µs", _clock(ns), by_chance=False)
        for ns in (5 * US, 20 * US, 100 * US, MS)
    ),
    *(
        Fault("GPU clock behind", f"{ns // US} µs", _clock(-ns), by_chance=False)
        for ns in (20 * US, 100 * US, MS)
    ),
    *(
        Fault("GPU clock drifts", f"{ns // US:+} µs", _clock(ns, drift=True), by_chance=False)
        for ns in (100 * US, MS, -100 * US, -MS)
    ),
    *(
        Fault("a kernel overruns its stream", f"{ns // MS} ms", _overrun(ns))
        for ns in (8 * MS, 1_600 * MS)
    ),
    *(Fault("rows 3 s before their launch", f"{n}", _early(n)) for n in (1, 5)),
    *(Fault("wrong deviceId", f"{s:.0%}", _device(s)) for s in (0.01, 0.1)),
    *(Fault("shuffled ids", f"{s:.0%}", _shuffled(s)) for s in (0.1, 1.0)),
    *(Fault("step ranges lost", f"{n}", _ranges(n)) for n in (1, 3)),
)
"""Every fault that is planted."""
