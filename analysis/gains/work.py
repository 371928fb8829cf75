"""What a device is given to do, and when it did it."""

from __future__ import annotations

from msgspec import Struct

KERNEL, COPY, MEMSET = "kernel", "copy", "memset"
TO_HOST, TO_DEVICE, ON_DEVICE = "to-host", "to-device", "on-device"


class Work(Struct, frozen=True):
    """One operation of the device. `direction` and `size` (bytes) are a copy's or a memset's."""

    name: str
    duration_ns: int
    kind: str = KERNEL
    direction: str = ON_DEVICE
    size: int = 0
    pageable: bool = False
    """The host end of a copy is ordinary memory: the call then holds the host until it is done."""


class Span(Struct, frozen=True):
    """When an operation runs: [start, end), ns."""

    start: int
    end: int
