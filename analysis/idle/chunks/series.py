"""From the sums of a walk to the summary of a step series on one device."""

from __future__ import annotations

import numpy as np

from ...model.intervals import Int64
from ...store.layout import SYNCHRONIZING
from ...store.opened import Store
from ..attribute import largest_first
from ..figures import SeriesSummary, Steady, StepTable
from ..steps import StepSeries
from .causes import Drains
from .parts import Sizes, slice_of
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
    return SeriesSummary.of(
        series,
        device.device.index,
        table,
        by_kind=total.kinds.tolist(),
        steady=_steady(store, series, total.steady, alive, names, drains) if total.steady else None,
        threads=store.threads,
    )


def _steady(
    store: Store,
    series: StepSeries,
    total: SteadyTotals,
    alive: Int64,
    names: list[str],
    drains: Drains,
) -> Steady:
    edges = int(series.start[alive[1]]), int(series.start[alive[-1]])
    return Steady.of(
        (total.lo, total.hi),
        len(alive) - 2,
        by_kind=total.by_kind.tolist(),
        host_ns=edges[1] - edges[0] - _held(store, series.thread_index, *edges),
        causes=dict(zip(names, total.causes.tolist(), strict=True)),
        drained_by=largest_first({drains.names[k]: ns for k, ns in total.drained.items()}),
    )


def _held(store: Store, thread: int, lo: int, hi: int) -> int:
    """Time in `[lo, hi)` that a thread spent in synchronising calls, ns."""
    if hi <= lo:
        return -_held(store, thread, hi, lo) if hi < lo else 0
    rows = store.calls.touching(*store.threads_rows(thread), lo, hi)
    reach, held = lo, 0
    for low in range(0, len(rows), _STRETCH.host_rows):
        some = rows[low : low + _STRETCH.host_rows]
        columns = store.calls.read(slice_of(some), "start", "end", "flags")
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
