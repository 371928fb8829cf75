"""Which physical GPU a process means by a CUDA ordinal."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from ..model import schema
from ..model.arrays import Code, factorize
from ..model.schema import NULL
from ..model.trace import Device
from .errors import TooManyGpus
from .sqlite.database import Columns, Database

MAX_DEVICES = 64
"""GPUs of one report: more than any machine has, and each costs milliseconds to account for."""

_Gpu = tuple[int | None, str, str]
"""nsys's GPU id, name and uuid, as far as they are known."""


class Gpus(NamedTuple):
    """The devices that processes worked on, and how others name them."""

    devices: tuple[Device, ...]
    device: Code
    """Of each (pid, CUDA ordinal) that was asked for."""
    mixed_up: bool
    """Processes may have been: see `physical_devices`."""
    by_id: dict[int | None, int]
    """nsys's GPU id to the device, where it is known."""


def physical_devices(database: Database, users: list[tuple[int, int]]) -> Gpus:
    """The device of each (pid, CUDA ordinal).

    A process's ordinal is its own (CUDA_VISIBLE_DEVICES): TARGET_INFO_CUDA_DEVICE says which GPU it
    means. Without such a row equal ordinals are taken for one device, which may mix up processes.
    """
    by_process, by_ordinal = _known(database)
    devices: list[Device] = []
    ids: list[int | None] = []
    known: dict[object, int] = {}
    by_id: dict[int | None, int] = {}
    table = np.empty(len(users), np.int32)
    unmapped: dict[int, set[int]] = {}
    for position, (pid, ordinal) in enumerate(users):
        mapped = by_process.get((pid, ordinal))
        if mapped is None:
            unmapped.setdefault(ordinal, set()).add(pid)
        gpu_id, name, uuid = mapped or by_ordinal.get(ordinal, (None, "", ""))
        identity = uuid or (("ordinal", ordinal) if gpu_id is None else ("id", gpu_id))
        if identity not in known:
            known[identity] = len(devices)
            devices.append(Device(len(devices), ordinal, name, uuid))
            ids.append(gpu_id)
        table[position] = known[identity]
        if gpu_id not in (None, NULL):
            by_id.setdefault(gpu_id, known[identity])
    if len(devices) > MAX_DEVICES:
        raise TooManyGpus(
            f"{database.shown} names {len(devices)} GPUs, more than the {MAX_DEVICES} that are "
            "taken for one machine's: it is damaged, or no trace"
        )
    shared = any(len(pids) > 1 for pids in unmapped.values())
    return Gpus(_numbered(devices, ids), table, shared, by_id)


HOME = 0.75
"""Share of a context's operations on one device from which the others are misplaced."""

Places = dict[tuple[int, int, int], int]
"""(globalPid, context, CUDA ordinal) to the number of operations there."""


def add_places(places: Places, columns: Columns) -> None:
    """Count where the operations ran that these rows tell of."""
    place = np.zeros(len(columns["start"]), np.int64)
    names = []
    for name in ("globalPid", "contextId", "deviceId"):
        codes, distinct = factorize(columns[name])
        place = place * len(distinct) + codes
        names.append(distinct)
    number, distinct = factorize(place)
    counts = np.bincount(number, minlength=len(distinct)).tolist()
    rows = np.unravel_index(distinct, [len(values) for values in names]) if counts else ()
    keys = (values[row].tolist() for values, row in zip(names, rows, strict=bool(counts)))
    for key, count in zip(zip(*keys, strict=True), counts, strict=True):
        places[key] = places.get(key, 0) + count


def misplaced(places: Places) -> int:
    """Operations on another device than nearly all of their context's: a context has one."""
    contexts: dict[tuple[int, int], list[int]] = {}
    for (pid, context, _), count in places.items():
        if context != NULL:
            contexts.setdefault((pid, context), []).append(count)
    found = 0
    for counts in contexts.values():
        if max(counts) >= HOME * sum(counts):
            found += sum(counts) - max(counts)
    return found


def _known(database: Database) -> tuple[dict[tuple[int, int], _Gpu], dict[int, _Gpu]]:
    """GPUs by (pid, ordinal), and by the ordinal that they have where nothing is hidden."""
    gpus = database.read(schema.GPU)
    by_id: dict[int, _Gpu] = {
        gpu_id: (gpu_id, name, uuid)
        for gpu_id, name, uuid in zip(gpus["id"].tolist(), gpus["name"], gpus["uuid"], strict=True)
    }
    by_ordinal = {
        ordinal: by_id[gpu_id]
        for gpu_id, ordinal in zip(gpus["id"].tolist(), gpus["cuDevice"].tolist(), strict=True)
        if ordinal != NULL
    }
    rows = database.read(schema.CUDA_DEVICE)
    by_process: dict[tuple[int, int], _Gpu] = {}
    for gpu_id, ordinal, pid, uuid in zip(
        rows["gpuId"].tolist(),
        rows["cudaId"].tolist(),
        rows["pid"].tolist(),
        rows["uuid"],
        strict=True,
    ):
        _, name, own = by_id.get(gpu_id, (gpu_id, "", ""))
        by_process[pid, ordinal] = gpu_id, name, uuid or own
    return by_process, by_ordinal


def _numbered(devices: list[Device], ids: list[int | None]) -> tuple[Device, ...]:
    """Where two GPUs go by one ordinal, all go by nsys's GPU ids, else by their position."""
    if len({device.ordinal for device in devices}) == len(devices):
        return tuple(devices)
    by_id = None not in ids and len(set(ids)) == len(ids)
    numbers = [i for i in ids if i is not None] if by_id else range(len(devices))
    return tuple(replace(d, ordinal=n) for d, n in zip(devices, numbers, strict=True))
