"""A recorded trace's own launch and driver constants, each with how far its samples spread."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from ..model.cuda_calls import STREAM_WAIT, SYNCHRONIZE, host_waits, synchronizing
from ..model.intervals import Int64
from ..model.polling import QUERY
from ..model.trace import Trace
from .machine import NEVER, Timing

FALLBACK = Timing(latency_ns=5_000, gap_ns=1_000, event_ns=1_000, wake_ns=3_000, node_gap_ns=1_000)
"""Round figures of the right order, for a trace in which a constant cannot be seen; every use is
noted. See docs/simulator.md for what recorded traces show."""

BLOCKED_NS, BLOCKED_TIMES, BLOCKED_AHEAD = 20_000, 5, 128
"""A launch call longer than both, with so much work ahead of it, waited for room in the queue."""


class Estimate(Struct, frozen=True):
    """One constant as a trace shows it, from `samples` samples, and their middle 80 %.

    `value` is their median; for gaps between operations their mean, since those add up. Without
    samples it is a stand-in from `FALLBACK`.
    """

    name: str
    value: int
    samples: int
    low: int
    high: int

    @classmethod
    def of(
        cls,
        name: str,
        samples: Int64 | npt.NDArray[np.float64],
        stand_in: int,
        *,
        mean: bool = False,
    ) -> Estimate:
        """The estimate from samples in ns, shape (n,)."""
        if len(samples) == 0:
            return cls(name, stand_in, 0, stand_in, stand_in)
        low, middle, high = np.quantile(samples, [0.1, 0.5, 0.9])
        value = float(samples.mean()) if mean else float(middle)
        return cls(name, round(value), len(samples), round(float(low)), round(float(high)))


class Constants(Struct, frozen=True):
    """All of them, and the machine's timing that they make."""

    estimates: tuple[Estimate, ...]

    def __getitem__(self, name: str) -> Estimate:
        return next(one for one in self.estimates if one.name == name)

    @property
    def timing(self) -> Timing:
        """What a machine needs."""
        return Timing(**{one.name: one.value for one in self.estimates})

    @property
    def stood_in(self) -> tuple[str, ...]:
        """Constants of which the trace shows no sample."""
        return tuple(one.name for one in self.estimates if one.samples == 0)


def measure(
    trace: Trace, span: tuple[int, int] | None = None, longest_gap_ns: int | None = None
) -> Constants:
    """Fit every constant of `machine.Timing` to a trace's own rows.

    With `span`, to what was called in [start, end) ns alone; but for the depth of the queue. With
    `longest_gap_ns`, longer gaps between operations are not a stream's own, and do not count.
    """
    operations, calls = trace.operations, trace.calls
    order, previous_end = _previous_on_stream(trace)
    asked = _called_in(trace, span)
    known = (operations.launch[order] >= 0) & asked[operations.launch[order]]
    order, previous_end = order[known], previous_end[known]
    call = operations.launch[order]
    first = _first_of_launch(call)
    waited = _behind_a_hold(trace)
    start = operations.start[order]
    called = calls.start[call]
    exposed = first & (previous_end <= called) & ~waited[call] & (start >= called)
    latency = Estimate.of("latency_ns", (start - called)[exposed], FALLBACK.latency_ns)
    queued = first & (called + latency.value < previous_end) & ~waited[call]
    gap = (start - previous_end)[queued & (start >= previous_end)]
    inside = ~first & (start >= previous_end)
    node_gap = (start - previous_end)[inside]
    if longest_gap_ns is not None:
        gap, node_gap = gap[gap <= longest_gap_ns], node_gap[node_gap <= longest_gap_ns]
    return Constants(
        (
            latency,
            Estimate.of("gap_ns", gap, FALLBACK.gap_ns, mean=True),
            Estimate.of("event_ns", np.empty(0, np.int64), FALLBACK.event_ns),
            Estimate.of("wake_ns", _wakes(trace, asked), FALLBACK.wake_ns),
            Estimate.of("node_gap_ns", node_gap, FALLBACK.node_gap_ns, mean=True),
            _depth(trace),
        )
    )


def _previous_on_stream(trace: Trace) -> tuple[Int64, Int64]:
    """Operations by (device, stream, start), and the end of the one before, `NEVER` if none is."""
    operations = trace.operations
    order = np.lexsort((operations.start, operations.stream, operations.device))
    same = np.zeros(len(order), np.bool_)
    if len(order) > 1:
        same[1:] = (operations.stream[order][1:] == operations.stream[order][:-1]) & (
            operations.device[order][1:] == operations.device[order][:-1]
        )
    ends = operations.end[order]
    previous = np.full(len(order), NEVER, np.int64)
    previous[1:] = np.where(same[1:], ends[:-1], NEVER)
    return order, previous


def _first_of_launch(call: Int64) -> npt.NDArray[np.bool_]:
    """Mask: the operation is the first that its call launched on this stream."""
    first = np.ones(len(call), np.bool_)
    if len(call) > 1:
        first[1:] = call[1:] != call[:-1]
    return first


def _behind_a_hold(trace: Trace) -> npt.NDArray[np.bool_]:
    """Mask over calls: the call before it on its thread made a stream wait."""
    holds = trace.calls.named(STREAM_WAIT)
    behind = np.zeros(len(trace.calls), np.bool_)
    if len(holds) > 1:
        behind[1:] = holds[:-1] & (trace.calls.thread[1:] == trace.calls.thread[:-1])
    return behind


def _called_in(trace: Trace, span: tuple[int, int] | None) -> npt.NDArray[np.bool_]:
    """Mask over calls, and one False more for launches that are not known (-1)."""
    asked = np.zeros(len(trace.calls) + 1, np.bool_)
    begin = trace.calls.start
    asked[:-1] = True if span is None else (begin >= span[0]) & (begin < span[1])
    return asked


def _wakes(trace: Trace, asked: npt.NDArray[np.bool_]) -> Int64:
    """From the end of the last operation to the return of the call that waited for it, ns."""
    operations, calls = trace.operations, trace.calls
    found = host_waits(trace)
    waits = np.flatnonzero(found.last(calls) & calls.named(SYNCHRONIZE | QUERY) & asked[:-1])
    if len(waits) == 0 or len(operations) == 0:
        return _copy_wakes(trace, asked)
    ends = np.sort(operations.end)
    place = np.searchsorted(ends, calls.end[waits], side="right") - 1
    last = np.where(place >= 0, ends[np.maximum(place, 0)], NEVER)
    held = last > found.begun(calls)[waits]
    wakes: Int64 = (calls.end[waits] - last)[held]
    return wakes if len(wakes) else _copy_wakes(trace, asked)


def _copy_wakes(trace: Trace, asked: npt.NDArray[np.bool_]) -> Int64:
    operations, calls = trace.operations, trace.calls
    known = np.flatnonzero(operations.launch >= 0)
    launch = operations.launch[known]
    held = known[asked[launch] & synchronizing(trace)[launch]]
    wakes: Int64 = calls.end[operations.launch[held]] - operations.end[held]
    return wakes[wakes >= 0]


def blocked_launches(trace: Trace) -> Int64:
    """Rows of the launch calls that were held up because the queue was full."""
    operations, calls = trace.operations, trace.calls
    launching = np.zeros(len(calls), np.bool_)
    launching[operations.launch[operations.launch >= 0]] = True
    launches = np.flatnonzero(launching & ~synchronizing(trace))
    length = calls.end[launches] - calls.start[launches]
    if not (length > BLOCKED_NS).any():
        return launches[:0]
    launches = launches[length > max(BLOCKED_NS, BLOCKED_TIMES * float(np.quantile(length, 0.1)))]
    return launches[_ahead(trace, launches) >= BLOCKED_AHEAD]


def _ahead(trace: Trace, launches: Int64) -> Int64:
    """Launches made and not yet over when each of these calls began; a graph is one launch."""
    operations, calls = trace.operations, trace.calls
    known = operations.launch >= 0
    over = np.full(len(calls), NEVER, np.int64)
    np.maximum.at(over, operations.launch[known], operations.end[known])
    made = np.flatnonzero(over > NEVER)
    at = calls.start[launches]
    ends = np.sort(over[made])
    return np.searchsorted(np.sort(calls.start[made]), at) - np.searchsorted(ends, at, "right")


def _depth(trace: Trace) -> Estimate:
    blocked = blocked_launches(trace)
    depth = _ahead(trace, blocked) if len(blocked) else np.empty(0, np.int64)
    return Estimate.of("queue_depth", depth, FALLBACK.queue_depth)
