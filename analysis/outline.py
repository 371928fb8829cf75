"""Stand-ins for rows that are not in memory: what they still know, and nothing else.

To ask one of them for rows is an AttributeError, never an empty answer.
"""

from __future__ import annotations

from typing import Any, NoReturn

from .idle.gaps import DeviceGaps
from .model.trace import Device, Trace
from .store.opened import Store


class _NoRows:
    """In place of columns."""

    def _refuse(self, *asked: Any, **how: Any) -> NoReturn:
        raise AttributeError("the rows are not in memory, only their figures")

    __getattr__ = __len__ = __iter__ = __getitem__ = __array__ = _refuse


_NO_ROWS: Any = _NoRows()


class OutlinedGaps(DeviceGaps, frozen=True, eq=False):
    """The gaps of a device as numbers alone."""

    known_idle_ns: int
    known_count: int

    def __len__(self) -> int:
        return self.known_count

    @property
    def idle_ns(self) -> int:
        return self.known_idle_ns

    @property
    def busy_ns(self) -> int:
        return self.window_ns - self.idle_ns


def outlined_gaps(device: Device, start: int, end: int, idle_ns: int, count: int) -> OutlinedGaps:
    """`start`, `end`: the window's edges, ns; `count`: how many gaps there are."""
    rows = dict.fromkeys(("rows", "busy", "start", "end", "before", "after", "boundary"), _NO_ROWS)
    return OutlinedGaps(
        device=device,
        window_start=start,
        window_end=end,
        known_idle_ns=idle_ns,
        known_count=count,
        **rows,
    )


def outlined_trace(store: Store) -> Trace:
    """A trace without its rows."""
    known = (
        "path", "source", "devices", "processes", "threads", "dropped", "ranges_dropped",
        "calls_unusable", "duplicate_calls", "ambiguous_devices",
    )  # fmt: skip
    absent = (
        "strings", "operations", "calls", "synchronizations", "ranges", "overheads", "holds",
    )  # fmt: skip
    return Trace(
        **{name: getattr(store, name) for name in known}, **dict.fromkeys(absent, _NO_ROWS)
    )
