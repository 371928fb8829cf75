"""Figures of one device and of one step series on it, as `docs/definitions.md` words them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..model.arrays import Code8
from ..model.cuda_calls import synchronizing
from ..model.intervals import Int64, covered_before, union
from ..model.schema import Kind
from ..model.trace import Thread, Trace
from ..statistics.quantiles import Quantiles
from .attribute import Attribution, drained_names, handoff_threads, host_by_range
from .gaps import DeviceGaps, GapKind, gap_kinds, sum_by_kind
from .steps import StepSeries

GPU_BOUND = 0.9
"""Busy (or host) share of the period from which a series counts as bound by the GPU (or launch)."""

COMMUNICATION = re.compile(r"nccl|rccl", re.IGNORECASE)


@dataclass(frozen=True)
class DeviceSummary:
    """One device over the whole window. busy_ns + idle_ns == window_ns."""

    window_start_ns: int
    window_end_ns: int
    window_ns: int
    busy_ns: int
    idle_ns: int
    operations: int
    gap_count: int
    gaps: Quantiles | None
    causes: dict[str, int]
    """Idle ns by cause; sums to idle_ns."""
    drained_by: dict[str, int]
    host_ranges: dict[str, int]
    """Idle ns of cause `host` by innermost NVTX range; sums to causes['host']."""
    handoffs: dict[str, int]
    """Idle ns of cause `handoff` by the two threads, `from -> to`; sums to causes['handoff']."""
    communication_ns: int
    """Busy time of communication kernels, which spin while they wait."""
    graph_level_ns: int
    """Busy time that only whole-graph rows cover: inner gaps cannot be seen."""


@dataclass(frozen=True)
class Steady:
    """Steady state of a series on one device: its steps but the first and the last.

    The window runs from the moment the device fell quiet before the second step's first operation
    to the same moment of the last step, so that period_ns == busy_ns + idle_ns per step, and the
    gap before a step is that step's.
    """

    steps: int
    start_ns: int
    end_ns: int
    period_ns: float
    busy_ns: float
    idle_ns: float
    inter_ns: float
    intra_ns: float
    unassigned_ns: float
    host_ns: float
    """Wall time of the launching thread per step, less its time in synchronising calls."""
    causes: dict[str, float]
    """Idle ns per step by cause; sums to idle_ns."""
    drained_by: dict[str, float]
    drained_share: float
    """Share of the idle time that follows a synchronisation which let the queue run dry."""
    limiter: str
    """`gpu`, `launch`, `sync` or `mixed`."""
    recoverable_ns: float
    """max(0, period - max(busy, host)): the most that hiding synchronisation can win per step."""

    @classmethod
    def of(
        cls,
        window: tuple[int, int],
        steps: int,
        *,
        by_kind: Sequence[int],
        host_ns: int,
        causes: dict[str, int],
        drained_by: dict[str, int],
    ) -> Steady:
        """From sums over all of `steps`, ns: idle time by `GapKind`, by cause and by what drained
        the queue (largest first), and the time in which the host did not wait."""
        lo, hi = window
        idle_ns = sum(by_kind)
        period, busy, host = ((hi - lo) / steps, (hi - lo - idle_ns) / steps, host_ns / steps)
        share = sum(drained_by.values()) / idle_ns if idle_ns else 0.0
        return cls(
            steps=steps,
            start_ns=lo,
            end_ns=hi,
            period_ns=period,
            busy_ns=busy,
            idle_ns=idle_ns / steps,
            inter_ns=by_kind[GapKind.INTER] / steps,
            intra_ns=by_kind[GapKind.INTRA] / steps,
            unassigned_ns=by_kind[GapKind.UNASSIGNED] / steps,
            host_ns=host,
            causes={name: ns / steps for name, ns in causes.items()},
            drained_by={name: ns / steps for name, ns in drained_by.items()},
            drained_share=share,
            limiter=limiter_of(period, busy, host, share),
            recoverable_ns=max(0.0, period - max(busy, host)),
        )


@dataclass(frozen=True)
class StepTable:
    """One row a step of a series on one device. Arrays have shape (steps,), ns."""

    number: Int64
    start: Int64
    """Host time at which the range opened."""
    host: Int64
    """Length of the range on the host."""
    operations: Int64
    gpu_start: Int64
    """First operation's start; 0 for a step without GPU work."""
    gpu_end: Int64
    busy: Int64
    """Device busy time between the projection's edges."""
    inter: Int64
    intra: Int64

    @property
    def idle(self) -> Int64:
        """Idle time that belongs to the step: inter + intra."""
        return self.inter + self.intra

    @property
    def interior(self) -> Int64:
        """Positions of the steps with GPU work but the first and the last; shape (m,)."""
        return np.flatnonzero(self.operations > 0)[1:-1]

    def __len__(self) -> int:
        return len(self.number)


@dataclass(frozen=True)
class SeriesSummary:
    """A step series on one device. The four kinds sum to the device's idle time."""

    pattern: str
    pid: int
    tid: int
    thread_name: str
    device: int
    """Index into the report's devices."""
    inter_ns: int
    intra_ns: int
    unassigned_ns: int
    boundary_ns: int
    idle_per_step: Quantiles | None
    """Over interior steps, of inter + intra."""
    inter_per_step: Quantiles | None
    step_gpu: Quantiles | None
    """Length of the GPU projection, interior steps."""
    hull_overlap_ns: int
    """Time in which projections of neighbouring steps overlap (asynchronous loops)."""
    steady: Steady | None
    dead_steps: tuple[int, ...]
    """Numbers of the steps without GPU work."""
    by_time: int
    other_threads: dict[str, int]
    table: StepTable = field(repr=False)

    @classmethod
    def of(
        cls,
        series: StepSeries,
        device: int,
        table: StepTable,
        *,
        by_kind: Sequence[int],
        steady: Steady | None,
        threads: Sequence[Thread],
    ) -> SeriesSummary:
        """`by_kind`: the device's idle time by `GapKind`, ns; `threads`: all of the trace."""
        alive, interior = np.flatnonzero(table.operations > 0), table.interior
        overlap = np.maximum(table.gpu_end[alive[:-1]] - table.gpu_start[alive[1:]], 0)
        return cls(
            pattern=series.pattern,
            pid=series.thread.pid,
            tid=series.thread.tid,
            thread_name=series.thread.name,
            device=device,
            inter_ns=by_kind[GapKind.INTER],
            intra_ns=by_kind[GapKind.INTRA],
            unassigned_ns=by_kind[GapKind.UNASSIGNED],
            boundary_ns=by_kind[GapKind.BOUNDARY],
            idle_per_step=Quantiles.of(table.idle[interior]),
            inter_per_step=Quantiles.of(table.inter[interior]),
            step_gpu=Quantiles.of((table.gpu_end - table.gpu_start)[interior]),
            hull_overlap_ns=int(overlap.sum()),
            steady=steady,
            dead_steps=tuple(series.number[table.operations == 0].tolist()),
            by_time=series.by_time,
            other_threads={threads[t].label: n for t, n in series.other_threads.items()},
            table=table,
        )


@dataclass(frozen=True)
class HostSeries:
    """Step times on the host alone: given for every trace that has steps."""

    pattern: str
    pid: int
    tid: int
    thread_name: str
    steps: int
    unclosed: int
    duration: Quantiles | None
    """Length of the range, interior steps."""
    period: Quantiles | None
    """From one range's start to the next one's, interior steps."""


def summarize_device(trace: Trace, gaps: DeviceGaps, attribution: Attribution) -> DeviceSummary:
    """Figures of one device over its window."""
    operations = trace.operations
    rows = gaps.rows
    count = len(operations) if isinstance(rows, slice) else len(rows)
    return DeviceSummary(
        window_start_ns=gaps.window_start,
        window_end_ns=gaps.window_end,
        window_ns=gaps.window_ns,
        busy_ns=gaps.busy_ns,
        idle_ns=gaps.idle_ns,
        operations=count,
        gap_count=len(gaps),
        gaps=Quantiles.of(gaps.length),
        causes=attribution.total,
        drained_by=drained_names(trace, attribution.drained_by, gaps.length),
        host_ranges=host_by_range(trace, gaps, attribution),
        handoffs=handoff_threads(trace, gaps, attribution),
        communication_ns=_communication(trace, gaps),
        graph_level_ns=_only_graph_level(trace, gaps),
    )


def _of_window(trace: Trace, gaps: DeviceGaps) -> tuple[Int64, Int64]:
    operations = trace.operations
    start = np.maximum(operations.start[gaps.rows], gaps.window_start)
    end = np.minimum(operations.end[gaps.rows], gaps.window_end)
    return start, end


def _communication(trace: Trace, gaps: DeviceGaps) -> int:
    ids = [i for i, text in trace.strings.values.items() if COMMUNICATION.search(text)]
    if not ids:
        return 0
    start, end = _of_window(trace, gaps)
    mask = np.isin(trace.operations.name[gaps.rows], ids)
    return union(start[mask], end[mask]).total


def _only_graph_level(trace: Trace, gaps: DeviceGaps) -> int:
    graph = trace.operations.kind[gaps.rows] == Kind.GRAPH
    if not graph.any():
        return 0
    start, end = _of_window(trace, gaps)
    return gaps.busy_ns - union(start[~graph], end[~graph]).total


def summarize_series(
    trace: Trace, gaps: DeviceGaps, attribution: Attribution, series: StepSeries
) -> SeriesSummary | None:
    """Figures of one series on one device; None where it launched nothing there."""
    step_of = series.step_of[gaps.rows]
    positions = np.flatnonzero(step_of >= 0)
    if len(positions) == 0:
        return None
    kind, step = gap_kinds(gaps, series)
    table = _step_table(trace, gaps, series, positions, kind, step)
    return SeriesSummary.of(
        series,
        gaps.device.index,
        table,
        by_kind=sum_by_kind(kind, gaps.length).tolist(),
        steady=_steady(trace, gaps, attribution, series, positions, kind, table),
        threads=trace.threads,
    )


def _step_table(
    trace: Trace,
    gaps: DeviceGaps,
    series: StepSeries,
    mine: Int64,
    kind: Code8,
    step: Int64,
) -> StepTable:
    """`mine`: positions in `gaps.rows` of the series' operations."""
    operations = trace.operations
    n = len(series)
    owner = series.step_of[gaps.rows][mine]
    start, end = operations.start[gaps.rows][mine], operations.end[gaps.rows][mine]
    gpu_start = np.full(n, np.iinfo(np.int64).max)
    gpu_end = np.full(n, np.iinfo(np.int64).min)
    np.minimum.at(gpu_start, owner, start)
    np.maximum.at(gpu_end, owner, end)
    count = np.bincount(owner, minlength=n)
    gpu_start[count == 0] = 0
    gpu_end[count == 0] = 0

    owned = np.flatnonzero(step >= 0)

    def per_step(which: GapKind) -> Int64:
        chosen = owned[kind[owned] == which]
        total = np.zeros(n, np.int64)
        np.add.at(total, step[chosen], gaps.length[chosen])
        return total

    return StepTable(
        number=series.number,
        start=series.start,
        host=series.end - series.start,
        operations=count.astype(np.int64),
        gpu_start=gpu_start,
        gpu_end=gpu_end,
        busy=covered_before(gaps.busy, gpu_end) - covered_before(gaps.busy, gpu_start),
        inter=per_step(GapKind.INTER),
        intra=per_step(GapKind.INTRA),
    )


def _steady(
    trace: Trace,
    gaps: DeviceGaps,
    attribution: Attribution,
    series: StepSeries,
    mine: Int64,
    kind: Code8,
    table: StepTable,
) -> Steady | None:
    alive = np.flatnonzero(table.operations > 0)
    if len(alive) < 3:
        return None
    operations, calls = trace.operations, trace.calls
    owner = series.step_of[gaps.rows][mine]
    start = operations.start[gaps.rows]
    end = operations.end[gaps.rows]
    second, last = (int(mine[np.argmax(owner == alive[k])]) for k in (1, -1))
    if not 0 < second < last:
        return None
    lo, hi = (max(gaps.window_start, int(min(end[:k].max(), start[k]))) for k in (second, last))
    # The gap before an operation counts where it stands: from the second step's first operation up
    # to, not with, the last step's. (A window may begin amid one.)
    chosen = gaps.inside(lo, hi)
    length = gaps.length[chosen]
    host_lo, host_hi = int(series.start[alive[1]]), int(series.start[alive[-1]])
    first, stop = np.searchsorted(calls.thread, [series.thread_index, series.thread_index + 1])
    waits = first + np.flatnonzero(synchronizing(trace)[first:stop])
    held = union(calls.start[waits], calls.end[waits])
    held_ns = int(np.diff(covered_before(held, [host_lo, host_hi]))[0])
    return Steady.of(
        (lo, hi),
        len(alive) - 2,
        by_kind=sum_by_kind(kind[chosen], length).tolist(),
        host_ns=host_hi - host_lo - held_ns,
        causes=attribution.by_name(chosen),
        drained_by=drained_names(trace, attribution.drained_by[chosen], length),
    )


def limiter_of(period: float, busy: float, host: float, drained_share: float) -> str:
    """What bounds the period, by the first rule that applies."""
    if busy >= GPU_BOUND * period:
        return "gpu"
    if host >= GPU_BOUND * period:
        return "launch"
    return "sync" if drained_share >= 0.5 else "mixed"


def summarize_host(series: StepSeries) -> HostSeries:
    """Host step times of a series."""
    duration = (series.end - series.start)[1:-1]
    return HostSeries(
        pattern=series.pattern,
        pid=series.thread.pid,
        tid=series.thread.tid,
        thread_name=series.thread.name,
        steps=len(series),
        unclosed=int(np.count_nonzero(series.unclosed)),
        duration=Quantiles.of(duration),
        period=Quantiles.of(np.diff(series.start)[1:]) if len(series) > 2 else None,
    )
