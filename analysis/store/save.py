"""From a trace in memory to a store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from msgspec import to_builtins

from ..model.cuda_calls import host_waits
from ..model.intervals import Int64
from ..model.trace import Calls, Trace
from ..readers.metadata import Metadata
from .codec import encode
from .folder import Array, Writer, write_checked
from .layout import FAILED, GOES_ON, GROUPS, LAUNCHED, REPEATED, SYNCHRONIZING
from .strings import pack_strings

STRINGS = "strings.bin"
FLAG_WAITS = "flag-waits.bin"


def save_trace(trace: Trace, metadata: Metadata, folder: Path) -> None:
    """Fill an empty folder. It is a store when this returns."""
    writer = Writer(folder)
    for group, names in GROUPS.items():
        table = getattr(trace, group)
        columns = {name: getattr(table, name) for name in names if name != "flags"}
        if group == "calls":
            columns["flags"] = flags_of(trace)
        writer.append(group, columns)
    writer.close_columns()
    write_checked(folder / STRINGS, pack_strings(trace.strings.values))
    write_checked(folder / FLAG_WAITS, encode(host_waits(trace).flags))
    writer.finish(head_of(trace, metadata))


def head_of(trace: Trace, metadata: Metadata) -> dict[str, Any]:
    """All of a trace that is neither column nor string, as JSON can hold it."""
    return {
        "names": trace.calls.names,
        "devices": [to_builtins(device) for device in trace.devices],
        "processes": trace.processes,
        "threads": [(thread.global_tid, thread.name) for thread in trace.threads],
        "dropped": to_builtins(trace.dropped),
        "ranges_dropped": to_builtins(trace.ranges_dropped),
        "calls_unusable": to_builtins(trace.calls_unusable),
        "duplicate_calls": trace.duplicate_calls,
        "ambiguous_devices": trace.ambiguous_devices,
        "misplaced": trace.misplaced,
        "metadata": to_builtins(metadata),
    }


def flags_of(trace: Trace) -> Array:
    """`layout.FAILED` and its kin for each call; shape (calls,)."""
    calls = trace.calls
    flags = calls.failed.astype(np.uint8) * np.uint8(FAILED)
    waits = host_waits(trace)
    flags |= waits.held.astype(np.uint8) * np.uint8(SYNCHRONIZING)
    flags |= waits.goes_on.astype(np.uint8) * np.uint8(GOES_ON)
    launch = trace.operations.launch
    flags[launch[launch >= 0]] |= LAUNCHED
    if trace.duplicate_calls:
        flags[_repeated(calls)] |= REPEATED
    return flags


def _repeated(calls: Calls) -> Int64:
    """Rows whose (process, positive correlationId) another row has too."""
    order = np.lexsort((calls.correlation, calls.process))
    process, ids = calls.process[order], calls.correlation[order]
    same = (process[1:] == process[:-1]) & (ids[1:] == ids[:-1]) & (ids[1:] > 0)
    twin = np.zeros(len(order), np.bool_)
    twin[1:] |= same
    twin[:-1] |= same
    repeated: Int64 = np.sort(order[twin])
    return repeated
