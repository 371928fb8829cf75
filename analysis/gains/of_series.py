"""The gains of each step series of a trace: which steps are replayed, and what was found."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from msgspec import Struct

from ..idle.engines import of_steady_state
from ..idle.figures import SeriesSummary
from ..idle.launched import Launched
from ..idle.parts import Parts
from ..idle.steps import StepSeries
from ..model.communication import Communication
from ..model.cuda_calls import STREAM_WAIT, named
from ..model.intervals import Int64
from ..model.source import TORCH_PROFILER
from ..model.trace import Trace
from ..question import Question
from ..readers.range_cpu import RangeCpu, noted_in, range_cpu
from ..store.layout import GOES_ON, SYNCHRONIZING
from ..store.opened import Store
from ..store.whole import Whole
from .busy import Busy, busy_between, busy_of
from .ladder import Ladder, ladder, loops_of
from .stalls import Stalls, stalls_of
from .stretch import calls_between, calls_of, chosen_runs, stretches, threads_of

MOST = 4
"""Series on a GPU of one trace that are replayed: those with most operations."""


DeviceWindow = tuple[int, int, int, int]
"""A device, its window `[lo, hi)` in ns, and for how long it was busy there."""
COUNTED = 16
"""Steps in which waits are counted, or somewhat more."""
LOST = 0.2
"""Share of the operations without a launch call from which a loop cannot be replayed."""


class SeriesGains(Struct, frozen=True):
    """What could be won of one series on one device; `series` is its place in the report."""

    series: int
    ladder: Ladder | None
    busy: Busy | None
    stalls: Stalls | None
    reason: str = ""
    """Why there is no ladder."""


def gains_of(
    parts: Parts,
    summaries: Sequence[SeriesSummary],
    series: Sequence[tuple[StepSeries, Launched]],
    question: Question,
) -> tuple[SeriesGains, ...]:
    """Of the series with most operations. `series`: of each summary, its steps and what these
    launched on its device."""
    source = parts.source
    tables = source if isinstance(source, Store) else Whole(source)
    cpu = _noted(source)
    order = sorted(
        range(len(summaries)),
        key=lambda k: (
            not of_steady_state(summaries[k].pattern),
            -int(summaries[k].table.operations.sum()),
        ),
    )
    found = [
        _of(tables, k, summaries[k], *series[k], question, cpu)
        for k in sorted(order[:MOST])
        if summaries[k].steady is not None
    ]
    for k in sorted(order[:MOST]):
        edges = summaries[k].own_edges
        if edges is not None:
            busy = busy_between(
                tables, summaries[k].device, edges.start_ns, edges.end_ns, edges.steps,
                Communication(question.comm),
            )  # fmt: skip
            count = "is one step" if edges.steps == 1 else f"are {edges.steps} steps"
            found.append(SeriesGains(k, None, busy, None, f"there {count}, and no steady state"))
    return tuple(found)


def _noted(source: Trace | Store) -> RangeCpu | None:
    """For how long threads had a core in their ranges, where somebody noted it."""
    if not isinstance(source, Store):
        return noted_in(source)
    return range_cpu(source.path) if source.source.producer != TORCH_PROFILER else None


def work_of(parts: Parts, devices: Sequence[DeviceWindow], comm: tuple[str, ...]) -> Busy | None:
    """What the device that did most was busy with, in all of its window; None where that is too
    much to look at."""
    if not devices:
        return None
    source = parts.source
    tables = source if isinstance(source, Store) else Whole(source)
    device, lo, hi, _ = max(devices, key=lambda one: one[3])
    return busy_between(tables, device, lo, hi, 1, Communication(comm))


def _of(
    tables: Whole | Store,
    place: int,
    summary: SeriesSummary,
    series: StepSeries,
    launched: Launched,
    question: Question,
    cpu: RangeCpu | None,
) -> SeriesGains:
    stalls = stalls_of(summary)
    # A step is measured from the end of the work of the step before it.
    alive = launched.count > 0
    steady = np.flatnonzero(summary.table.steady & np.concatenate(([False], alive[:-1])))
    threads = threads_of(series, launched)
    waits = _waits_a_step(tables, series, threads, steady)
    runs = chosen_runs(steady, _calls_a_step(tables, series, threads), waits)
    if not runs:
        return SeriesGains(place, None, None, stalls, "fewer than 3 steady steps stand together")
    name = source_name(tables, summary)
    communication = Communication(question.comm)
    loops = loops_of(stretches(tables, series, launched, runs), name, cpu, communication)
    if not loops:
        return SeriesGains(place, None, None, stalls, "no launch of these steps was recorded")
    known = sum(len(loop.action) for loop in loops)
    lost = sum(loop.stretch.without_call for loop in loops)
    if lost > LOST * (known + lost):
        why = f"{lost:,} of {known + lost:,} operations have no launch call"
        return SeriesGains(place, None, busy_of(loops, communication), stalls, why)
    means = []
    if sum(stop - first for first, stop in runs) < len(steady) and summary.steady:
        means = [summary.steady.period_ns, *([stalls.without_ns] if stalls else [])]
    found = ladder(loops, name, question.changes, means, len(steady))
    return SeriesGains(place, found, busy_of(loops, communication), stalls)


def source_name(tables: Whole | Store, summary: SeriesSummary) -> str:
    """What the driver calls the GPU of a series."""
    devices = tables.devices if isinstance(tables, Store) else tables.trace.devices
    return devices[summary.device].name


def _calls_a_step(tables: Whole | Store, series: StepSeries, threads: Sequence[int]) -> float:
    """How many calls the threads that launch make in a step."""
    total = 0
    begin, end = int(series.start[0]), int(series.end[-1])
    for thread in threads:
        total += len(calls_of(tables, thread, begin, end))
    return total / max(1, len(series))


def _waits_a_step(
    tables: Whole | Store, series: StepSeries, threads: Sequence[int], steady: Int64
) -> float:
    """In how many calls these threads or streams wait, in a step: of some, evenly spread."""
    some = steady[:: max(1, len(steady) // COUNTED)]
    of_streams = np.flatnonzero(named(tables.names, STREAM_WAIT.__contains__))
    found = 0
    for thread in threads:
        firsts, stops = calls_between(tables, thread, series.start[some], series.end[some])
        for first, stop in zip(firsts.tolist(), stops.tolist(), strict=True):
            if first == stop:
                continue
            columns = tables.calls.read(slice(first, stop), "flags", "name")
            # A run of queries is replayed as one wait, its first call's.
            waits = (columns["flags"] & (SYNCHRONIZING | GOES_ON)) == SYNCHRONIZING
            waits |= np.isin(columns["name"], of_streams)
            found += int(np.count_nonzero(waits))
    return found / max(1, len(some))
