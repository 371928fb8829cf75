"""Records as the shim packs them, made by hand."""

from __future__ import annotations

import numpy as np

from harness.capture.cupti.dump import _TABLE, ABI, HEAD, MAGIC, TABLES, Clock, Records

OPENED, CLOSED = 1_790_000_000_000_000_000, 1_790_000_000_100_000_000


def table(name, *rows):
    """A table of dicts; fields that are not given are 0."""
    made = np.zeros(len(rows), TABLES[name][1])
    for row, values in zip(made, rows, strict=True):
        for field, value in values.items():
            row[field] = value
    return made


def at(us):
    """Nanoseconds of this many microseconds after the session opened."""
    return OPENED + int(us * 1000)


def launch(correlation, start_us, *, name=0, thread=77, result=0):
    """An API row of 2 us."""
    return {
        "start": at(start_us), "end": at(start_us + 2), "process": 77, "thread": thread,
        "correlation": correlation, "name": name, "result": result,
    }  # fmt: skip


def kernel(correlation, start_us, end_us, *, name=1):
    """A kernel on stream 7."""
    return {
        "start": at(start_us), "end": at(end_us), "correlation": correlation, "name": name,
        "context": 1, "stream": 7, "grid": (1, 1, 1), "block": (32, 1, 1),
    }  # fmt: skip


STRINGS = ("cudaLaunchKernel_v7000", "gemm", "cudaStreamBeginCapture_v10000",
           "cudaStreamEndCapture_v10000", "cudaGraphLaunch_v10000")  # fmt: skip


def records(strings=STRINGS, offsets=(0, 0), **tables):
    """Records of the shim's road; `offsets` are libcupti's clock less the host's, ns."""
    first, last = offsets
    return Records(
        road="shim",
        tables={name: table(name, *rows) for name, rows in tables.items()},
        strings=tuple(strings),
        opened=Clock(OPENED - first - 20, OPENED, OPENED - first + 20),
        closed=Clock(CLOSED - last - 20, CLOSED, CLOSED - last + 20),
        library_version=130001,
        dropped=0,
    )


def dump(strings=STRINGS, head=None, **tables):
    """The bytes of a dump."""
    top = np.zeros(1, HEAD)
    values = {"magic": MAGIC, "abi": ABI, "library_version": 130001, "driver_version": 13000}
    for field, value in {**values, **(head or {})}.items():
        top[field] = value
    for name, moment in (("opened", OPENED), ("closed", CLOSED)):
        top[name] = (moment - 20, moment, moment + 20, 5)
    parts = [top.tobytes()]
    for name, (number, dtype) in TABLES.items():
        rows = table(name, *tables.get(name, ()))
        parts += [np.array((number, dtype.itemsize, len(rows)), _TABLE).tobytes(), rows.tobytes()]
    text = b"".join(word.encode() + b"\0" for word in strings)
    parts += [np.array((0, 1, len(text)), _TABLE).tobytes(), text]
    return b"".join(parts)
