"""The results file: SQLite, one row per timed run, written as each run ends.

Every write is a transaction of its own, so a kill loses at most the run in flight. Tables:
sessions, workers, cells, runs, clocks; docs/bench.md describes every column.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import secrets
import sqlite3
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..decode.registry import is_safe
from ..decode.strategies import resolve
from ..errors import NotADirectory
from ..manifest import now
from .errors import NotInResults, ResultsDamaged
from .plan import Plan
from .results_file import META, RESULTS_VERSION, to_read, to_write

_MOST_BYTES, _SMALL_BYTES = 4, 16 << 20
"""What a byte of the file may give, and what any file may: a damaged one can hold rows without
end."""

_TABLES: dict[str, dict[str, type]] = {
    "sessions": {
        "id": str, "started_at": str, "ended_at": str, "status": str, "preset": str, "label": str,
        "plan": str, "argv": str, "host": str, "git": str, "harness_version": str, "seed": int,
        "time_budget_s": float, "bandwidth_bytes_per_s": float,
    },
    "workers": {
        "id": int, "session": str, "allocator": str, "started_at": str, "pid": int, "device": str,
        "versions": str, "environment": str, "threads": int, "start_ns": int,
    },
    "cells": {
        "id": int, "session": str, "position": int, "key": str, "strategy": str, "preset": str,
        "cache": str, "execution": str, "stop_check": str, "allocator": str, "engine": str,
        "safe": int, "model": str, "device": str, "dtype": str, "batch_size": int,
        "prompt_length": int, "max_new_tokens": int, "workload": str, "floor_work": str,
        "error": str,
    },
    "runs": {
        "id": int, "session": str, "cell": int, "worker": int, "round": int, "place": int,
        "started_at": str, "wall_ns": int, "prefill_ns": int, "decode_ns": int,
        "steps_executed": int, "steps_needed": int, "steps_kept": int, "steps_ns": bytes,
        "peak_allocated_bytes": int, "peak_reserved_bytes": int, "allocation_retries": int,
        "device_allocations": int, "compiled_in_run": int, "prepare_ns": int, "compile_ns": int,
        "capture_ns": int, "warmup_ns": str, "stable": int, "visit_ns": int, "tokens_sha256": str,
    },
    "clocks": {
        "id": int, "session": str, "round": int, "at": str, "gpus": str, "load_average": float,
    },
}  # fmt: skip

_ALWAYS = {
    "sessions": ("id", "started_at", "status", "plan"),
    "workers": ("id", "session"),
    "cells": (
        "id", "session", "position", "key", "strategy", "batch_size", "prompt_length",
        "max_new_tokens",
    ),
    "runs": (
        "id", "session", "cell", "round", "wall_ns", "decode_ns", "steps_executed", "steps_kept",
        "prepare_ns", "capture_ns",
    ),
    "clocks": ("id", "session"),
}  # fmt: skip
"""Columns that every row of a sound file has a value in."""

_KEYS = {
    "workers": (("session", "sessions", "id"),),
    "cells": (("session", "sessions", "id"),),
    "runs": (("session", "sessions", "id"), ("cell", "cells", "id"), ("worker", "workers", "id")),
    "clocks": (("session", "sessions", "id"),),
}


class Store:
    """An open results file."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        import sqlite_utils

        self.path = path
        self.db = sqlite_utils.Database(connection)

    @classmethod
    @contextlib.contextmanager
    def writing(cls, path: Path) -> Iterator[Store]:
        """Open for adding, creating it where it is not there; one writer at a time.

        Raises HarnessError where the file is something else, is being written, or cannot be.
        """
        if not path.parent.is_dir():
            raise NotADirectory(f"{path.parent} is not a directory")
        with to_write(path, _TABLES) as connection:
            store = cls(path, connection)
            store._create()
            yield store

    @classmethod
    @contextlib.contextmanager
    def reading(cls, path: Path) -> Iterator[Store]:
        """Open to read, also while another process writes. Raises HarnessError as `writing`."""
        with to_read(path, _TABLES) as connection:
            yield cls(path, connection)

    def _create(self) -> None:
        if META not in self.db.table_names():
            self.db.table(META).insert({"id": 1, "results_version": RESULTS_VERSION}, pk="id")
        for name, columns in _TABLES.items():
            table = self.db.table(name)
            if table.exists():
                for column in columns.keys() - table.columns_dict.keys():
                    table.add_column(column, columns[column])  # written by an older harness
                continue
            table.create(columns, pk="id", foreign_keys=_KEYS.get(name, ()))
        self.db.table("runs").create_index(["session", "cell"], if_not_exists=True)

    # Writing

    def begin(self, plan: Plan, **facts: Any) -> str:
        """Add a session and its cells; returns its id."""
        session = time.strftime("%Y%m%d-%H%M%S-") + secrets.token_hex(2)
        with self.db.conn:
            _insert(
                self.db.conn,
                "sessions",
                {
                    "id": session,
                    "started_at": now(),
                    "status": "running",
                    "preset": plan.preset,
                    "plan": plan.to_json(),
                    "seed": plan.protocol.seed,
                    **facts,
                },
            )
            for position, cell in enumerate(plan.cells):
                found, w = resolve(cell.workload), cell.workload
                _insert(
                    self.db.conn,
                    "cells",
                    {
                        "session": session,
                        "position": position,
                        "key": cell.key,
                        "strategy": cell.name,
                        "preset": found.name,
                        **found.choices,
                        "engine": found.engine,
                        "safe": is_safe(found),
                        "model": w.model,
                        "device": w.device,
                        "dtype": w.dtype,
                        "batch_size": w.batch_size,
                        "prompt_length": len(w.prompt_tokens or ()) or w.prompt_length,
                        "max_new_tokens": w.max_new_tokens,
                        "workload": w.to_json(),
                    },
                )
        return session

    def add(self, table: str, **row: Any) -> int:
        """Add one row, durable when this returns; mappings and lists are stored as JSON."""
        with self.db.conn:
            return _insert(self.db.conn, table, row)

    def change(self, table: str, key: Any, **row: Any) -> None:
        """Change columns of one row."""
        self.db.table(table).update(key, {name: _plain(value) for name, value in row.items()})

    # Reading

    def rows(self, table: str, *, order: str = "id", **where: Any) -> list[dict[str, Any]]:
        """Rows whose columns equal `where`, by their `order`; JSON columns stay text."""
        if table not in self.db.table_names():
            return []
        clause = " and ".join(f"[{name}] = :{name}" for name in where) or None
        found, size = [], 0
        most = _MOST_BYTES * self.path.stat().st_size + _SMALL_BYTES
        for row in self.db[table].rows_where(clause, where or None, order_by=order):
            _check_row(self.path, table, row)
            size += sum(len(v) if isinstance(v, (str, bytes)) else 8 for v in row.values())
            if size > most:
                raise ResultsDamaged(f"{self.path}: {table} holds more than the file's bytes can")
            found.append(row)
        return found

    def sessions(self) -> list[dict[str, Any]]:
        """All sessions, oldest first."""
        # Of two that began in one second the one that was added later is the newer.
        return sorted(self.rows("sessions", order="rowid"), key=lambda row: row["started_at"])

    def session(self, wanted: str | None = None) -> dict[str, Any]:
        """The session called `wanted` (a beginning of its id is enough), else the newest one.

        Raises HarnessError where there is none, or several begin so.
        """
        known = self.sessions()
        found = [row for row in known if wanted is None or row["id"].startswith(wanted)]
        if not found:
            what = "no session" if wanted is None else f"no session {wanted!r}"
            raise NotInResults(
                f"{self.path} has {what}", remedy=f"`harness results {self.path}` lists them"
            )
        if wanted is not None and len(found) > 1:
            raise NotInResults(
                f"{wanted!r} begins {len(found)} sessions of {self.path}",
                remedy="give more of the id",
            )
        return found[-1]


@dataclasses.dataclass(frozen=True)
class Json:
    """Text of a JSON column that may be empty or, in a damaged file, anything."""

    text: str | None

    def value(self, default: Any) -> Any:
        """The value, `default` where there is none or another type."""
        try:
            found = json.loads(self.text) if self.text else default
        except (ValueError, RecursionError):
            return default
        return found if default is None or isinstance(found, type(default)) else default


def steps_to_blob(steps_ns: Any) -> bytes:
    """int64 little-endian, as `runs.steps_ns` holds them."""
    return np.asarray(steps_ns, "<i8").tobytes()


def steps_from_blob(blob: bytes | None) -> np.ndarray[Any, np.dtype[np.int64]]:
    """int64 ns, shape (decode steps,); empty for anything that is no such blob."""
    if not isinstance(blob, bytes) or len(blob) % 8:
        return np.empty(0, np.int64)
    return np.frombuffer(blob, "<i8").astype(np.int64)


def _insert(connection: sqlite3.Connection, table: str, row: Mapping[str, Any]) -> int:
    names = ", ".join(f"[{name}]" for name in row)
    marks = ", ".join("?" * len(row))
    values = [_plain(value) for value in row.values()]
    done = connection.execute(f"insert into [{table}] ({names}) values ({marks})", values)
    return int(done.lastrowid or 0)


def _check_row(path: Path, table: str, row: Mapping[str, Any]) -> None:
    """HarnessError where a value is of another type than its column, or a needed one is absent."""
    for name, kind in _TABLES[table].items():
        value = row.get(name)
        kinds = (int, float) if kind is float else (kind,)
        missing = value is None and name in _ALWAYS[table]
        if missing or not (value is None or isinstance(value, kinds)):
            shown = "no value" if value is None else type(value).__name__
            raise ResultsDamaged(
                f"{path} is damaged: {table}.{name} of row {str(row.get('id'))[:40]} holds "
                f"{shown}, {kind.__name__} was expected"
            )
    if table == "runs" and row["wall_ns"] <= 0:
        raise ResultsDamaged(f"{path} is damaged: run {row['id']} took {row['wall_ns']} ns")


def _plain(value: Any) -> Any:
    if isinstance(value, dict | list | tuple):
        return json.dumps(value, ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value
