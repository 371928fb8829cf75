"""From the sums of a walk to the summary of a step series on one device."""

from __future__ import annotations

import numpy as np

from ..gaps import GapKind
from ..intervals import Int64
from ..stats import Quantiles
from ..steps import StepSeries
from ..store.layout import SYNCHRONIZING
from ..store.opened import Store
from ..summary import SeriesSummary, Steady, StepTable, limiter_of
from .causes import Drains
from .parts import Sizes
from .totals import DeviceTotals, SeriesTotals, SteadyTotals

_STRETCH = Sizes(1 << 20, 1 << 20)


def series_summary(
    store: Store,
    series: StepSeries,
    total: SeriesTotals,
    device: DeviceTotals,
    names: list[str],
    drains: Drains,
) -> SeriesSummary:
    """As `summary.summarize_series`."""
    launched, alive = total.launched, total.alive
    none = launched.count == 0
    table = StepTable(
        number=series.number,
        start=series.start,
        host=series.end - series.start,
        operations=launched.count,
        gpu_start=np.where(none, 0, launched.gpu_start),
        gpu_end=np.where(none, 0, launched.gpu_end),
        busy=total.busy(device.window_start, device.window_end),
        inter=total.inter,
        intra=total.intra,
    )
    interior = table.interior
    overlap = np.maximum(table.gpu_end[alive[:-1]] - table.gpu_start[alive[1:]], 0)
    kinds = total.kinds.tolist()
    return SeriesSummary(
        pattern=series.pattern,
        pid=series.thread.pid,
        tid=series.thread.tid,
        thread_name=series.thread.name,
        device=device.device.index,
        inter_ns=kinds[GapKind.INTER],
        intra_ns=kinds[GapKind.INTRA],
        unassigned_ns=kinds[GapKind.UNASSIGNED],
        boundary_ns=kinds[GapKind.BOUNDARY],
        idle_per_step=Quantiles.of(table.idle[interior]),
        inter_per_step=Quantiles.of(table.inter[interior]),
        step_gpu=Quantiles.of((table.gpu_end - table.gpu_start)[interior]),
        hull_overlap_ns=int(overlap.sum()),
        steady=_steady(store, series, total.steady, alive, names, drains) if total.steady else None,
        dead_steps=tuple(series.number[none].tolist()),
        by_time=series.by_time,
        other_threads={store.threads[t].label: n for t, n in series.other_threads.items()},
        table=table,
    )


def _steady(
    store: Store,
    series: StepSeries,
    total: SteadyTotals,
    alive: Int64,
    names: list[str],
    drains: Drains,
) -> Steady:
    steps = len(alive) - 2
    idle = int(total.causes.sum())
    period = (total.hi - total.lo) / steps
    busy = (total.hi - total.lo - idle) / steps
    edges = int(series.start[alive[1]]), int(series.start[alive[-1]])
    host = (edges[1] - edges[0] - _held(store, series.thread_index, *edges)) / steps
    drained = {drains.names[k]: ns for k, ns in total.drained.items()}
    share = sum(drained.values()) / idle if idle else 0.0
    by_kind = (total.by_kind / steps).tolist()
    return Steady(
        steps=steps,
        start_ns=total.lo,
        end_ns=total.hi,
        period_ns=period,
        busy_ns=busy,
        idle_ns=idle / steps,
        inter_ns=by_kind[GapKind.INTER],
        intra_ns=by_kind[GapKind.INTRA],
        unassigned_ns=by_kind[GapKind.UNASSIGNED],
        host_ns=host,
        causes={name: ns / steps for name, ns in zip(names, total.causes.tolist(), strict=True)},
        drained_by={
            name: ns / steps
            for name, ns in sorted(drained.items(), key=lambda item: (-item[1], item[0]))
        },
        drained_share=share,
        limiter=limiter_of(period, busy, host, share),
        recoverable_ns=max(0.0, period - max(busy, host)),
    )


def _held(store: Store, thread: int, lo: int, hi: int) -> int:
    """Time in `[lo, hi)` that a thread spent in synchronising calls, ns."""
    if hi <= lo:
        return -_held(store, thread, hi, lo) if hi < lo else 0
    rows = store.calls.touching(*store.threads_rows(thread), lo, hi)
    reach, held = lo, 0
    for low in range(0, len(rows), _STRETCH.host_rows):
        some = rows[low : low + _STRETCH.host_rows]
        columns = store.calls.read(
            slice(int(some[0]), int(some[-1]) + 1) if some[-1] - some[0] + 1 == len(some) else some,
            "start", "end", "flags",
        )  # fmt: skip
        chosen = (columns["flags"] & SYNCHRONIZING) > 0
        start = np.maximum(columns["start"][chosen], lo)
        end = np.minimum(columns["end"][chosen], hi)
        if len(start):
            upto = np.maximum(np.maximum.accumulate(end), reach)
            before = np.concatenate(([reach], upto[:-1]))
            held += int(np.maximum(end - np.maximum(start, before), 0).sum())
            reach = int(upto[-1])
        store.forget()
    return held
