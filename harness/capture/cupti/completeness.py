"""Is everything that was launched in the recording? Counted, never assumed."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import numpy as np

from ...analysis.model.schema import api_name
from ..remarks import Incomplete
from .dump import Clock, Records

LAUNCHES = frozenset(
    {
        "cudaLaunchKernel",
        "cudaLaunchKernelExC",
        "cudaLaunchCooperativeKernel",
        "cuLaunchKernel",
        "cuLaunchKernelEx",
        "cuLaunchCooperativeKernel",
    }
)
_BEGIN_CAPTURE = frozenset({"cudaStreamBeginCapture", "cuStreamBeginCapture"})
_END_CAPTURE = frozenset({"cudaStreamEndCapture", "cuStreamEndCapture"})
_BEFORE_NS = 10**9
_AFTER_NS = 600 * 10**9

# cuptiGetVersion from 12.6 update 2 on, until 13.1.
_LOSES_KERNELS = range(24, 130100)
MARKER_START, MARKER_END = 1 << 1, 1 << 2


@dataclasses.dataclass(frozen=True)
class Completeness:
    """What was found out; None where this road cannot tell.

    `launches` are kernel launch calls that succeeded outside stream capture, each counted once;
    `kernels` is how many of them have a kernel in the recording. `ranges_issued` counts the ranges
    that the target opened and closed in the session, `ranges_found` those in the written trace
    (None before it is written), `ranges_seen_by_nvtx` how many of the issued ones libcupti saw
    through NVTX as well (None where it did not listen). `clock_error_ns` bounds the
    difference between the host ranges' clock and the GPU rows', after `clock_shift_ns` was added to
    the ranges. `stop_result` is CUPTI's result of closing the session, 0 where it delivered every
    record.
    """

    dropped: int | None
    zero_timestamps: int
    launches: int
    kernels: int
    captured_launches: int
    operations_without_launch: int
    operations_before_launch: int
    ranges_issued: int
    ranges_found: int | None
    ranges_seen_by_nvtx: int | None
    clock_error_ns: int | None
    clock_shift_ns: int
    broken_buffers: int
    stop_result: int
    known_problem: str | None

    @property
    def complete(self) -> bool:
        """Nothing is known to be missing."""
        return not (
            self.dropped
            or self.zero_timestamps
            or self.broken_buffers
            or self.stop_result
            or self.kernels < self.launches
            or (self.ranges_found is not None and self.ranges_found < self.ranges_issued)
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for the manifest."""
        return {"complete": self.complete, **dataclasses.asdict(self)}

    def sentence(self) -> str | None:
        """One line that says what is missing; None where nothing is."""
        if self.complete:
            return None
        parts = []
        if self.kernels < self.launches:
            lost = self.launches - self.kernels
            parts.append(f"{lost} of {self.launches} launches have no kernel")
        if self.zero_timestamps:
            parts.append(f"{self.zero_timestamps} GPU rows have no valid time")
        if self.dropped:
            parts.append(f"{self.dropped} records were dropped")
        if self.broken_buffers:
            parts.append(f"{self.broken_buffers} buffers could not be read to their end")
        if self.stop_result:
            parts.append(f"CUPTI did not deliver its last records (result {self.stop_result})")
        if self.ranges_found is not None and self.ranges_found < self.ranges_issued:
            parts.append(f"{self.ranges_found} of {self.ranges_issued} ranges were recorded")
        if self.known_problem:
            parts[-1] += f" ({self.known_problem})"
        return Incomplete(f"the recording is incomplete: {', '.join(parts)}")


def valid_rows(records: Records, name: str) -> np.ndarray[Any, Any]:
    """Mask, shape (n,), of the rows of one table whose times can be true."""
    rows = records.table(name)
    low = records.opened.cupti_ns - _BEFORE_NS
    high = records.closed.cupti_ns + _AFTER_NS
    return (rows["start"] >= low) & (rows["end"] >= rows["start"]) & (rows["end"] <= high)


def clock_shift(opened: Clock, closed: Clock) -> tuple[int, int]:
    """(ns to add to CLOCK_REALTIME to get libcupti's clock, bound of the error that remains).

    No shift where the clocks agree within the reading's own width: they are then the same clock.
    """
    shift = 0 if abs(opened.offset_ns) <= opened.half_width_ns else opened.offset_ns
    error = max(abs(clock.offset_ns - shift) + clock.half_width_ns for clock in (opened, closed))
    return shift, error


def check(records: Records, ranges: list[Any]) -> Completeness:
    """Count. `ranges` are the target's own (name, domain, start, end, thread, kind), epoch ns."""
    shift: int
    error: int | None
    shift, error = clock_shift(records.opened, records.closed)
    if records.road == "torch":
        shift, error = 0, records.extra.get("clock_error_ns")
    issued = within(records, ranges, shift)
    masks = {name: valid_rows(records, name) for name in ("kernel", "memcpy", "memset", "graph")}
    zero = sum(int((~mask).sum()) for mask in masks.values())
    calls = _Calls(records)
    kernels = records.table("kernel")[masks["kernel"]]
    wanted, captured = calls.launches(set(kernels["correlation"].tolist()))
    with_kernel = int(np.isin(wanted, kernels["correlation"]).sum())
    orphans = early = 0
    for name, mask in masks.items():
        rows = records.table(name)[mask]
        known, starts = calls.starts(rows["correlation"])
        orphans += int((~known).sum())
        early += int((known & (rows["start"] < starts)).sum())
    return Completeness(
        dropped=records.dropped,
        zero_timestamps=zero,
        launches=len(wanted),
        kernels=with_kernel,
        captured_launches=captured,
        operations_without_launch=orphans,
        operations_before_launch=early,
        ranges_issued=len(issued),
        ranges_found=None,
        ranges_seen_by_nvtx=_seen(records, issued),
        clock_error_ns=error,
        clock_shift_ns=shift,
        broken_buffers=records.broken_buffers,
        stop_result=records.stop_result,
        known_problem=_known(records, lost=with_kernel < len(wanted) or zero > 0),
    )


def within(records: Records, ranges: list[Any], shift: int) -> list[Any]:
    """The ranges that began and ended while the session was open."""
    low, high = records.opened.cupti_ns, records.closed.cupti_ns
    return [item for item in ranges if low <= item[2] + shift and item[3] + shift <= high]


def marker_ranges(records: Records) -> list[tuple[str, str, int, int, int]]:
    """(name, domain, start, end, thread) of every range that libcupti saw through NVTX, whole."""
    open_ranges: dict[int, Any] = {}
    found = []
    rows = records.table("marker")
    for row in rows[np.argsort(rows["timestamp"], kind="stable")]:
        if row["flags"] & MARKER_START:
            open_ranges[int(row["id"])] = row
        elif row["flags"] & MARKER_END:
            begun = open_ranges.pop(int(row["id"]), None)
            if begun is not None:
                name = records.strings[begun["name"]]
                domain = records.strings[begun["domain"]]
                times = int(begun["timestamp"]), int(row["timestamp"])
                found.append((name, domain, *times, int(begun["thread"])))
    return found


def _seen(records: Records, issued: list[Any]) -> int | None:
    """How many of the issued ranges libcupti saw as well."""
    if not records.extra.get("markers"):
        return None
    seen = Counter(name for name, *_ in marker_ranges(records))
    wanted = Counter(item[0] for item in issued)
    return sum(min(count, seen[name]) for name, count in wanted.items())


class _Calls:
    """API rows by correlation id."""

    def __init__(self, records: Records) -> None:
        rows = records.table("api")
        names = np.array([api_name(text) for text in records.strings] or [""], dtype=object)
        self._rows = rows
        self._names = names[rows["name"]] if len(rows) else np.empty(0, object)
        order = np.lexsort((rows["start"], rows["correlation"]))
        self._sorted = rows[order]
        self._ids, first = np.unique(self._sorted["correlation"], return_index=True)
        self._starts = self._sorted["start"][first]

    def starts(self, ids: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
        """(is there a call, its start) for each correlation id."""
        if not len(self._ids):
            return np.zeros(len(ids), bool), np.zeros(len(ids), np.int64)
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return self._ids[at] == ids, self._starts[at]

    def launches(self, with_kernel: set[int]) -> tuple[np.ndarray[Any, Any], int]:
        """(correlation ids of launches that owe a kernel, how many others were under capture)."""
        launch = np.array([name in LAUNCHES for name in self._names], bool)
        rows = self._rows[launch & (self._rows["result"] == 0)]
        capturing = rows[self._under_capture(rows)]["correlation"]
        under = set(capturing.tolist()) - with_kernel
        ids = np.unique(rows["correlation"])
        owing = ids[~np.isin(ids, np.array(sorted(under), ids.dtype))]
        return owing, len(under)

    def _under_capture(self, rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """Mask, shape (n,): between the begin and the end of a stream capture of its thread."""
        open_captures = np.zeros(len(rows), np.int64)
        for names, sign in ((_BEGIN_CAPTURE, 1), (_END_CAPTURE, -1)):
            calls = self._rows[np.array([name in names for name in self._names], bool)]
            for thread in np.unique(calls["thread"]):
                starts = np.sort(calls["start"][calls["thread"] == thread])
                mine = rows["thread"] == thread
                open_captures[mine] += sign * np.searchsorted(starts, rows["start"][mine])
        return open_captures > 0


def _known(records: Records, *, lost: bool) -> str | None:
    version = records.library_version
    if not lost or version is None or version not in _LOSES_KERNELS:
        return None
    how = (
        "torch.profiler registers a timestamp callback, with which"
        if records.road == "torch"
        else "with a timestamp callback, which the harness does not register,"
    )
    return (
        f"libcupti {version}: {how} versions from 12.6 update 2 to 13.0 write zero times and lose "
        "kernels at a session's start; 13.1 mends it"
    )
