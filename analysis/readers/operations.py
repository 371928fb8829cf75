"""The rows of the operation tables as one set of columns, without those that cannot be busy."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..model.arrays import Bool
from ..model.cuda_calls import managed
from ..model.intervals import Int64
from ..model.schema import NULL, PAGEABLE, PID_MASK, SEQUENCE, CopyKind, Kind
from ..model.trace import Dropped
from .rules import usable_operations
from .sqlite.database import Columns
from .streams import contexts_of


class RawOperations(NamedTuple):
    """The valid rows of all operation tables, in table order."""

    columns: dict[str, Int64]
    kind: NDArray[np.int8]
    copy_kind: NDArray[np.int8]
    peer: Bool
    pageable: Bool
    dropped: Dropped


_OPERATION_COLUMNS = (
    "start", "end", "deviceId", "streamId", "correlationId", "globalPid", "shortName",
    "node", "contextId", SEQUENCE,
)  # fmt: skip


_HIGHEST = 2**31 - 1
_ABSENT = {"node": 0}
"""What stands for a column that a table has not; NULL for the others."""


def join_operations(tables: list[Columns]) -> RawOperations:
    """`tables`: the rows of `schema.OPERATIONS`, in that order."""
    chunks: dict[str, list[Int64]] = {name: [] for name in _OPERATION_COLUMNS}
    kinds, copy_kinds, peers, pageables = [], [], [], []
    dropped = Dropped()
    for kind, rows in zip(Kind, tables, strict=True):
        keep, unfit = usable_operations(rows["start"], rows["end"])
        dropped += unfit
        count = len(rows["start"]) if keep is None else int(np.count_nonzero(keep))
        for name in _OPERATION_COLUMNS:
            if name == "contextId":
                context = contexts_of(rows)
                chunks[name].append(context if keep is None else context[keep])
            elif name in rows:
                chunks[name].append(rows[name] if keep is None else rows[name][keep])
            else:
                chunks[name].append(np.full(count, _ABSENT.get(name, NULL), np.int64))
        kinds.append(np.full(count, kind, np.int8))
        copy_kind = np.zeros(count, np.int8)
        peer, pageable = np.zeros(count, np.bool_), np.zeros(count, np.bool_)
        if kind is Kind.MEMCPY:
            names = ("copyKind", "srcDeviceId", "dstDeviceId", "srcKind", "dstKind")
            code, source, target, *memory = (
                rows[n] if keep is None else rows[n][keep] for n in names
            )
            to_device = (code == CopyKind.HTOD) | (code == CopyKind.HTOA)
            to_host = (code == CopyKind.DTOH) | (code == CopyKind.ATOH)
            pageable = (to_device & (memory[0] == PAGEABLE)) | (to_host & (memory[1] == PAGEABLE))
            copy_kind = code.astype(np.int8)
            # Pages of managed memory belong to no context, whatever stands there.
            chunks["contextId"][-1] = np.where(managed(code), NULL, chunks["contextId"][-1])
            peer = (code == CopyKind.PTOP) | (
                (source != NULL) & (target != NULL) & (source != target)
            )
        copy_kinds.append(copy_kind)
        peers.append(peer)
        pageables.append(pageable)
    columns = {name: np.concatenate(parts) for name, parts in chunks.items()}
    columns["globalPid"] &= PID_MASK
    number = columns[SEQUENCE]
    number[(number < 0) | (number > _HIGHEST)] = -1
    return RawOperations(
        columns,
        np.concatenate(kinds),
        np.concatenate(copy_kinds),
        np.concatenate(peers),
        np.concatenate(pageables),
        dropped,
    )
