"""Figures of one device and of one step series on it, as `docs/definitions.md` words them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
from msgspec import Struct

from ..model.arrays import Bool
from ..model.intervals import Int64
from ..model.shown import shown_without
from ..model.trace import Thread
from ..statistics.quantiles import Quantiles
from .causes import Phase
from .causes import causes as every_cause
from .gaps import GapKind
from .steady import SteadyPeriods
from .steps import StepSeries

GPU_BOUND = 0.9
"""Busy (or host) share of the period from which a series counts as bound by the GPU (or launch)."""


class DeviceSummary(Struct, frozen=True):
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


class Steady(Struct, frozen=True):
    """Steady state of a series on one device, of the steps that `SteadyPeriods` says.

    period_ns == busy_ns + idle_ns per step, and the gap before a step is that step's.
    """

    steps: int
    start_ns: int
    """Where the first period begins."""
    end_ns: int
    """Where the last one ends."""
    by_ends: bool
    """Streams run ahead of each other: see `SteadyPeriods`."""
    period_ns: float
    busy_ns: float
    idle_ns: float
    inter_ns: float
    intra_ns: float
    unassigned_ns: float
    host_ns: float
    """Wall time per step, less the time in which a thread that launches was in a synchronising
    call or behind a full launch queue."""
    causes: dict[str, float]
    """Idle ns per step by cause; sums to idle_ns."""
    drained_by: dict[str, float]
    drained_share: float
    """Share of the idle time that follows a synchronisation which let the queue run dry."""
    limiter: str
    """`gpu`, `launch`, `sync` or `mixed`."""
    recoverable_ns: float
    """max(0, period - max(device, host)), where device is busy time and the idle time for which the
    host was ahead: the most that hiding synchronisation can win per step."""

    @classmethod
    def of(
        cls,
        periods: SteadyPeriods,
        *,
        by_kind: Sequence[int],
        ahead_ns: int,
        host_ns: int,
        causes: dict[str, int],
        drained_by: dict[str, int],
    ) -> Steady:
        """From sums over all periods, ns: idle time by `GapKind`, by cause and by what drained
        the queue (largest first), that for which the host was ahead, and the time in which the
        host did not wait."""
        steps, total, idle_ns = len(periods), int(periods.length.sum()), sum(by_kind)
        period, busy, host = total / steps, (total - idle_ns) / steps, host_ns / steps
        device = busy + ahead_ns / steps
        share = sum(drained_by.values()) / idle_ns if idle_ns else 0.0
        launching = _launching(causes) / idle_ns if idle_ns else 0.0
        return cls(
            steps=steps,
            start_ns=int(periods.start[0]),
            end_ns=int(periods.end[-1]),
            by_ends=periods.by_ends,
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
            limiter=limiter_of(period, device, host, share, launching),
            recoverable_ns=max(0.0, period - max(device, host)),
        )


class StepTable(Struct, frozen=True, eq=False):
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
    steady: Bool
    """The steady state counts it."""
    left_out: Int64
    """Of `inter`, what dead steps before it took."""
    by_cause: Int64
    """The same idle time by cause; shape (causes, steps)."""

    @property
    def idle(self) -> Int64:
        """Idle time that belongs to the step: inter + intra."""
        return self.inter + self.intra

    @property
    def steady_inter(self) -> Int64:
        """`inter` of the steps in steady state, without what dead steps took; shape (m,)."""
        return (self.inter - self.left_out)[self.steady]

    @property
    def steady_idle(self) -> Int64:
        """The same of `idle`."""
        return (self.idle - self.left_out)[self.steady]

    def __len__(self) -> int:
        return len(self.number)


class SeriesSummary(Struct, frozen=True):
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
    """Over the steps in steady state, of inter + intra."""
    inter_per_step: Quantiles | None
    step_gpu: Quantiles | None
    """Length of the GPU projection, steps in steady state."""
    hull_overlap_ns: int
    """Time in which projections of neighbouring steps overlap (asynchronous loops)."""
    steady: Steady | None
    own_edges: Steady | None
    """Of one or two steps, which have no steady state: between their own edges."""
    dead_steps: tuple[int, ...]
    """Numbers of the steps that launched nothing on any device."""
    never_closed: tuple[int, ...]
    """Numbers of the ranges that never closed and that others follow: they are no steps."""
    turns: tuple[str, ...]
    """The threads that take turns with the steps; empty where one thread runs them all."""
    by_time: int
    other_threads: dict[str, int]
    table: StepTable

    def __repr__(self) -> str:
        return shown_without(self, "table")

    @classmethod
    def of(
        cls,
        series: StepSeries,
        device: int,
        table: StepTable,
        *,
        dead: Bool,
        by_kind: Sequence[int],
        steady: Steady | None,
        own_edges: Steady | None,
        threads: Sequence[Thread],
    ) -> SeriesSummary:
        """`dead`: steps without work on any device; `by_kind`: the device's idle time by `GapKind`,
        ns; `threads`: all of the trace."""
        alive = np.flatnonzero(table.operations > 0)
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
            idle_per_step=Quantiles.of(table.steady_idle),
            inter_per_step=Quantiles.of(table.steady_inter),
            step_gpu=Quantiles.of((table.gpu_end - table.gpu_start)[table.steady]),
            hull_overlap_ns=int(overlap.sum()),
            steady=steady,
            own_edges=own_edges,
            dead_steps=tuple(series.number[dead].tolist()),
            never_closed=tuple(series.never_closed.tolist()),
            turns=_turns(series, threads),
            by_time=series.by_time,
            other_threads={threads[t].label: n for t, n in series.other_threads.items()},
            table=table,
        )


def _turns(series: StepSeries, threads: Sequence[Thread]) -> tuple[str, ...]:
    several = series.threads
    return tuple(threads[k].label for k in several) if len(several) > 1 else ()


class HostSeries(Struct, frozen=True):
    """Step times on the host alone: given for every trace that has steps."""

    pattern: str
    pid: int
    tid: int
    thread_name: str
    steps: int
    unclosed: int
    """Ranges that never closed, steps or not."""
    duration: Quantiles | None
    """Length of the range, interior steps."""
    period: Quantiles | None
    """From one range's start to that of the next number's, interior steps."""


def limiter_of(
    period: float, device: float, host: float, drained_share: float, launching_share: float
) -> str:
    """What bounds the period, by the first rule that applies.

    `device`: busy time, and idle time for which the host was ahead; shares are of the idle time:
    drained by a wait, and before or inside the launch of what came after it.
    """
    if device >= GPU_BOUND * period:
        return "gpu"
    if host >= GPU_BOUND * period and launching_share >= 0.5:
        return "launch"
    return "sync" if drained_share >= 0.5 else "mixed"


def launching_ns(steady: Steady) -> float:
    """Idle time per step before launches and inside them, ns: the host is not in time."""
    return _launching(steady.causes)


def _launching(causes: Mapping[str, float]) -> float:
    return sum(causes[name] for name in _before_or_inside())


@cache
def _before_or_inside() -> tuple[str, ...]:
    """Causes of the time before a launch, and inside it."""
    return tuple(one.name for one in every_cause() if one.phase in (Phase.BEFORE, Phase.LAUNCH))


def summarize_host(series: StepSeries) -> HostSeries:
    """Host step times of a series."""
    duration = (series.end - series.start)[1:-1]
    follows = np.flatnonzero(series.missing[:-1] == 0)
    period = np.diff(series.start)[follows[follows > 0]]
    return HostSeries(
        pattern=series.pattern,
        pid=series.thread.pid,
        tid=series.thread.tid,
        thread_name=series.thread.name,
        steps=len(series),
        unclosed=int(np.count_nonzero(series.unclosed)) + len(series.never_closed),
        duration=Quantiles.of(duration),
        period=Quantiles.of(period),
    )
