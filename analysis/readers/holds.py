"""What may keep a device from starting work, by the tables that record it.

Found in two strides, whatever the rows come from: the small tables first, then the operations,
which may come in any number of parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..model.arrays import Code, factorize, index_among
from ..model.intervals import Int64
from ..model.schema import (
    CONTEXT_SWITCH,
    CUDA_CONTEXT,
    HOST_FUNCTION,
    PID_MASK,
    Columns,
    HoldKind,
)
from .residency import OwnContexts, Pairs, Residency
from .rules import lasting, named_processes

TABLES = (HOST_FUNCTION, CONTEXT_SWITCH, CUDA_CONTEXT)

_Held = dict[str, NDArray[Any]]
"""The columns of `trace.Holds`."""


class HoldFinder:
    """Tell it of every operation (`see`), then ask for the columns."""

    def __init__(
        self,
        tables: Sequence[Columns],
        users: Mapping[tuple[int, int], int],
        gpus: Mapping[int | None, int],
        pids: Int64,
        callers: Iterable[int],
    ) -> None:
        """`tables`: the rows of `TABLES`; `users`: (globalPid, CUDA ordinal) of the operations to
        the device that is meant; `gpus`: nsys's GPU id to the device; `pids`: the globalPid of
        each process; `callers`: those that made calls."""
        functions, switches, contexts = tables
        self._functions = _functions(lasting(functions), users, pids, list(callers))
        self._residency = Residency(switches, gpus)
        named = self._residency.named(users, pids, contexts)
        self._own = OwnContexts(self._residency, named)

    def see(self, process: Code, device: Code, start: Int64) -> None:
        """Some operations; whose contexts they run in follows from all of them."""
        self._own.see(process, device, start)

    def columns(self) -> _Held:
        """The columns of `trace.Holds`."""
        parts = (self._functions, _contexts(self._residency, self._own.pairs()))
        held = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        keys = ("process", "end", "start", "device", "kind")
        order = np.lexsort(tuple(held[name] for name in keys))
        return {name: column[order] for name, column in held.items()}


def _functions(
    rows: Columns, users: Mapping[tuple[int, int], int], pids: Int64, callers: list[int]
) -> _Held:
    """Host functions, where their process has work on their device."""
    process = named_processes(rows["globalPid"] & PID_MASK, callers)
    owner, owners = factorize(process)
    ordinal, ordinals = factorize(rows["deviceId"])
    pair, pairs = factorize(owner.astype(np.int64) * len(ordinals) + ordinal)
    named = (divmod(key, len(ordinals)) for key in pairs.tolist())
    meant = [users.get((int(owners[who]), int(ordinals[which])), -1) for who, which in named]
    device = np.array(meant, np.int32)[pair]
    keep = device >= 0
    return _held(
        rows["start"][keep], rows["end"][keep], HoldKind.HOST_FUNCTION, device[keep],
        index_among(process[keep], pids),
    )  # fmt: skip


def _contexts(residency: Residency, own: Pairs) -> _Held:
    """The times of all contexts; of one with several processes once for each."""
    pairs = np.array(sorted(own), np.int64).reshape(-1, 2)
    first = np.searchsorted(pairs[:, 0], residency.context, side="left")
    owners = np.searchsorted(pairs[:, 0], residency.context, side="right") - first
    times = np.maximum(owners, 1)
    rows = np.repeat(np.arange(len(residency)), times)
    which = first[rows] + np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
    process = np.full(len(rows), -1, np.int32)
    known = owners[rows] > 0
    process[known] = pairs[which[known], 1]
    return _held(
        residency.start[rows], residency.end[rows], HoldKind.CONTEXT, residency.device[rows],
        process,
    )  # fmt: skip


def _held(start: Int64, end: Int64, kind: HoldKind, device: Code, process: Code) -> _Held:
    return {
        "start": start,
        "end": end,
        "kind": np.full(len(start), kind, np.int8),
        "device": device.astype(np.int32),
        "process": process.astype(np.int32),
    }
