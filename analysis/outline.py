"""Stand-ins for rows that are not in memory: what they still know, and nothing else.

To ask one of them for rows is an AttributeError, never an empty answer.
"""

from __future__ import annotations

from .idle.gaps import DeviceGaps
from .model.trace import Device, Trace
from .store.opened import Store


class OutlinedGaps(DeviceGaps):
    """The gaps of a device as numbers alone."""

    def __init__(self, device: Device, start: int, end: int, idle_ns: int, count: int) -> None:
        for name, value in (
            ("device", device), ("window_start", start), ("window_end", end),
            ("_idle", idle_ns), ("_count", count),
        ):  # fmt: skip
            object.__setattr__(self, name, value)

    def __len__(self) -> int:
        return int(vars(self)["_count"])

    @property
    def idle_ns(self) -> int:
        return int(vars(self)["_idle"])

    @property
    def busy_ns(self) -> int:
        return self.window_ns - self.idle_ns


class OutlinedTrace(Trace):
    """A trace without its rows."""

    def __init__(self, store: Store) -> None:
        for name in (
            "path", "source", "devices", "processes", "threads", "dropped", "ranges_dropped",
            "calls_unusable", "duplicate_calls", "ambiguous_devices",
        ):  # fmt: skip
            object.__setattr__(self, name, getattr(store, name))
