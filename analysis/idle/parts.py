"""A trace in parts: one that is in memory is a single part, a stored one as many as are wanted.

A part is a stretch of operations, sorted by start, and of each device the operation that reached
furthest before it: a gap belongs to the part of the operation after it. After the last part of a
stored trace each device's last operation stands alone, for the gap at the end of the window.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np
from msgspec import Struct

from ..model.arrays import stretches
from ..model.cuda_calls import host_waits
from ..model.intervals import Int64
from ..model.trace import Operations, Trace
from ..store.cut import (
    NO_ROWS,
    calls_of,
    in_window,
    launches_of,
    no_operations,
    operations_of,
    part_of,
    rows_in,
    slice_of,
)
from ..store.layout import GOES_ON, SYNCHRONIZING
from ..store.opened import Store
from .assign import Owned
from .gaps import DeviceGaps, device_gaps, idle_throughout
from .owners import StoredSteps, WholeSteps
from .sizes import Progress, Sizes
from .split import Split, split_stored, split_whole
from .waits import Released

END = np.iinfo(np.int64).max


class Part(Struct, frozen=True, dict=True):
    """Some operations, and the calls that launched them."""

    source: Trace | Store
    steps: WholeSteps | StoredSteps
    operations: Operations
    """Their `launch` is a row of the calls of the whole trace."""
    devices: tuple[int, ...]
    """The devices at work in it."""
    rows: Int64 | slice
    """Which of the operations are new: those before them were in earlier parts."""
    carried: frozenset[int]
    """The devices that have operations in earlier parts."""
    lo: int | None
    """Where the window begins, ns, for the other devices; None where the operations decide."""
    hi: int | None
    """Where it ends, if no part follows."""
    seen: int
    """No later part has a gap that ends before this time, ns."""

    @cached_property
    def trace(self) -> Trace:
        """The operations with the calls that launched them: read where it is asked for."""
        if isinstance(self.source, Trace):
            return self.source
        return part_of(self.source, self.operations, launches_of(self.operations))

    @cached_property
    def owned(self) -> Owned:
        """Whose step each operation is."""
        return self.steps.owners(self.trace)

    def rows_of(self, device: int) -> Int64 | slice:
        """The new operations of one device."""
        if len(self.source.devices) == 1:
            return self.rows
        mine: Int64 = np.flatnonzero(self.operations.device[self.rows] == device)
        if isinstance(self.rows, slice):
            return mine + (self.rows.start or 0)
        return self.rows[mine]

    def gaps(self, device: int) -> DeviceGaps:
        """The gaps of one of `devices` that end in this part."""
        lo, where = None if device in self.carried else self.lo, self.source.devices[device]
        found = device_gaps(self.trace, where, lo, self.hi)
        if found is None:
            assert lo is not None
            assert self.hi is not None
            return idle_throughout(where, lo, self.hi)
        return found


class WholeParts:
    """A trace in memory."""

    def __init__(self, trace: Trace, steps: WholeSteps) -> None:
        self.source = trace
        self.steps = steps

    def walk(
        self, what: str, lo: int | None, hi: int | None, devices: tuple[int, ...] | None = None
    ) -> Iterator[Part]:
        """One part, which holds all of it: nothing is copied."""
        del what
        trace, rows = self.source, _inside(self.source.operations, lo, hi)
        there = np.flatnonzero(np.bincount(trace.operations.device[rows])).tolist()
        if devices is not None and set(devices) != set(there):
            rows = np.arange(len(trace.operations))[rows]
            rows = rows[np.isin(trace.operations.device[rows], devices)]
            there = [device for device in there if device in devices]
        if there:
            yield Part(
                trace, self.steps, trace.operations, tuple(there), rows, frozenset(), lo, hi, END
            )

    def idle(self, device: int, lo: int, hi: int) -> Part:
        """The part of a device that does nothing in `[lo, hi)`."""
        trace = self.source
        return Part(
            trace, self.steps, trace.operations, (device,), NO_ROWS, frozenset(), lo, hi, END
        )

    def split(self, part: Part, gaps: DeviceGaps, names: dict[str, int]) -> Split:
        """The gaps of a part by cause. `names`: see `attribute.drain_codes`."""
        return split_whole(part.trace, gaps, names)

    def waits(self, thread: int, lo: int, hi: int) -> Iterator[tuple[Int64, Int64]]:
        """When the synchronising calls of a thread that touch `[lo, hi]` began and ended."""
        del lo, hi  # the others do no harm
        calls = self.source.calls
        first, stop = np.searchsorted(calls.thread, [thread, thread + 1])
        waits = host_waits(self.source)
        rows = first + np.flatnonzero(waits.held[first:stop])
        yield waits.starts(calls)[rows], calls.end[rows]

    def flag_waits(self, thread: int) -> tuple[Int64, Int64]:
        """When the waits of a thread for flags began and ended."""
        calls, flags = self.source.calls, host_waits(self.source).flags
        return flags.between(*np.searchsorted(calls.thread, [thread, thread + 1]).tolist())

    def call_name(self, row: int) -> str:
        """Of a row of the calls of the whole trace."""
        calls = self.source.calls
        return calls.names[int(calls.name[row])]


def _inside(operations: Operations, lo: int | None, hi: int | None) -> Int64 | slice:
    """The operations that touch `[lo, hi)`."""
    if lo is None and hi is None:
        return slice(None)
    inside = np.ones(len(operations), np.bool_)
    if lo is not None:
        inside &= operations.end > lo
    if hi is not None:
        inside &= operations.start < hi
    return np.flatnonzero(inside)


class StoredParts:
    """A stored trace, at most so many rows at a time."""

    def __init__(
        self,
        store: Store,
        steps: StoredSteps,
        sizes: Sizes,
        progress: Progress,
        released: Released | None = None,
    ) -> None:
        self.source = store
        self.steps, self.sizes = steps, sizes
        self._progress, self._released = progress, released or Released({})

    def walk(
        self, what: str, lo: int | None, hi: int | None, devices: tuple[int, ...] | None = None
    ) -> Iterator[Part]:
        """The operations that touch `[lo, hi)`: those of some devices for their gaps, or all of
        them once, with nothing carried over."""
        store, carry = self.source, dict[int, int]()
        first, stop = rows_in(store, lo, hi)
        for some in stretches(stop - first, self.sizes.operations):
            self._progress(what, some.start, stop - first)
            chosen = in_window(store, slice(first + some.start, first + some.stop), lo, hi)
            if devices is not None and len(devices) < len(store.devices):
                chosen = chosen[np.isin(store.operations.one(chosen, "device"), devices)]
            if len(chosen):
                before = dict(carry) if devices is not None else {}
                yield self._part(chosen, before, carry, lo)
            store.forget()
        for device, row in carry.items() if devices is not None else ():
            yield self._end(device, row, hi)

    def _part(
        self, chosen: Int64, before: dict[int, int], carry: dict[int, int], lo: int | None
    ) -> Part:
        """`before`: device to the row that reached furthest so far; `carry`: the same to go on."""
        carried = np.array(sorted(before.values()), np.int64)
        rows, fresh = np.concatenate((carried, chosen)), slice(len(carried), None)
        operations = operations_of(self.source, rows)
        devices = np.unique(operations.device[fresh]).tolist()
        for device in devices:
            mine = np.flatnonzero(operations.device == device)
            carry[device] = int(rows[mine[np.argmax(operations.end[mine])]])
        return Part(
            self.source, self.steps, operations, tuple(devices), fresh, frozenset(before), lo, None,
            int(operations.start[-1]),
        )  # fmt: skip

    def _end(self, device: int, row: int, hi: int | None) -> Part:
        """The gap between a device's last operation and the end of the window."""
        operations = operations_of(self.source, np.array([row]))
        return Part(
            self.source, self.steps, operations, (device,), slice(1, None), frozenset((device,)),
            None, hi, END,
        )  # fmt: skip

    def idle(self, device: int, lo: int, hi: int) -> Part:
        """The part of a device that does nothing in `[lo, hi)`."""
        return Part(
            self.source, self.steps, no_operations(), (device,), NO_ROWS, frozenset(), lo, hi, END
        )

    def split(self, part: Part, gaps: DeviceGaps, names: dict[str, int]) -> Split:
        """The gaps of a part by cause. `names`: see `attribute.drain_codes`."""
        return split_stored(
            self.source, part.trace, part.operations, gaps, self._released, names,
            self.sizes.host_rows,
        )  # fmt: skip

    def waits(self, thread: int, lo: int, hi: int) -> Iterator[tuple[Int64, Int64]]:
        """When the synchronising calls of a thread that touch `[lo, hi]` began and ended."""
        calls = self.source.calls
        rows = calls_of(self.source, thread, lo, hi)
        for some in stretches(len(rows), self.sizes.host_rows):
            columns = calls.read(slice_of(rows[some]), "start", "end", "flags")
            start, flags = columns["start"], columns["flags"]
            later = np.flatnonzero((flags & GOES_ON) > 0)
            before = calls.one(rows[some][later] - 1, "end")
            start[later] = np.minimum(before, start[later])
            held = (flags & SYNCHRONIZING) > 0
            yield start[held], columns["end"][held]
            self.source.forget()

    def flag_waits(self, thread: int) -> tuple[Int64, Int64]:
        """When the waits of a thread for flags began and ended."""
        return self.source.flag_waits.between(*self.source.threads_rows(thread))

    def call_name(self, row: int) -> str:
        """Of a row of the calls of the whole trace."""
        return self.source.names[int(self.source.calls.one(np.array([row]), "name")[0])]


Parts = WholeParts | StoredParts
