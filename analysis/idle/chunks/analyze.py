"""From a stored trace to its report, within a budget of memory."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...analyze import (
    TraceReport,
    check_pairs,
    host_extent,
    no_such_device,
    no_such_steps,
    numbered,
)
from ...model.arrays import Bool
from ...model.errors import TraceError
from ...model.schema import MAX_TIME as NEVER
from ...model.schema import pid_of
from ...model.trace import Trace
from ...question import Question, StepPattern
from ...store.codec import decode, encode
from ...store.folder import StoreError, read_checked, write_checked
from ...store.opened import Store
from ...verdicts.judge import judge
from ..attribute import Attribution, largest_first
from ..causes import causes
from ..counts import Counted, count_rows
from ..details import DeviceDetails, StreamFigures
from ..figures import DeviceSummary, SeriesSummary, summarize_host
from ..gaps import edges
from ..steps import Steps
from .counted import Facts, facts_of, released_in
from .definitions import definitions
from .outline import JudgedTrace, OutlinedGaps, OutlinedSplit, OutlinedTrace
from .parts import Sizes, rows_in
from .series import series_summary
from .steps import (
    Extent,
    Launched,
    Progress,
    Resident,
    StepWalk,
    effective,
    matching_rows,
    resident_steps,
    walk_steps,
    walk_whole,
)
from .totals import DeviceTotals, only
from .walk import GapWalk, Narrowed, Totals

PER_OPERATION = 400
"""Bytes of memory that one operation of a chunk, its gap, its calls and its ranges may take."""
FIXED = 160 << 20
"""Bytes that the interpreter and its libraries take."""
LEAST, MOST = 1 << 14, 1 << 21


def sizes_for(budget: int) -> Sizes:
    """How much to hold at once so that the process stays below `budget` bytes."""
    rows = min(max((budget - FIXED) // (2 * PER_OPERATION), LEAST), MOST)
    return Sizes(rows, 2 * rows)


def quiet(what: str, done: int, total: int) -> None:
    """Progress that nobody hears of."""
    del what, done, total


def analyze_store(
    store: Store,
    question: Question | None = None,
    sizes: Sizes | None = None,
    progress: Progress = quiet,
) -> TraceReport:
    """The report of `analyze`, without rows, but with the details that the question wants.

    Raises TraceError as `analyze` does.
    """
    question = question or Question()
    sizes = sizes or Sizes(MOST, 2 * MOST)
    if question.infer:
        raise TraceError(
            f"{store.path}: --infer-steps needs the whole trace in memory",
            remedy="name the steps with --step, or allow more with --memory",
        )
    facts = known_facts(store, sizes, progress)
    resident, whole = known_steps(store, question.patterns, sizes, progress)
    narrower, narrowed = _by_number(store, resident, whole, question)
    if question.start is not None or question.end is not None:
        narrowed = _by_window(store, resident, whole, narrowed, narrower, sizes, progress)
    # As in memory, where nobody asks for the edges of a window in which no device is looked at.
    lo, hi = edges(OutlinedTrace(store), narrower) if store.devices else (None, None)
    rows = rows_in(store, lo, hi)
    walked = whole
    if (lo, hi) != (None, None):
        walked = walk_steps(store, resident, rows, lo, hi, sizes, progress)
    devices = tuple(sorted(walked.extents))
    if question.device is not None:
        there = sorted({store.devices[d].ordinal for d in devices})
        devices = tuple(d for d in devices if store.devices[d].ordinal == question.device)
        if not devices:
            raise no_such_device(store.path, question.device, there)
    pairs = sum(
        bool((launched.count[mask] > 0).any())
        for place, mask in zip(narrowed.place, narrowed.wanted, strict=True)
        for (one, device), launched in whole.launched.items()
        if one == place and device in devices
    )
    check_pairs(OutlinedTrace(store), len(narrowed.place), pairs)
    walk = GapWalk(
        store, resident, narrowed, replace(walked, launched=_launched(walked, narrowed)),
        facts, devices, (lo, hi), question, sizes,
    )  # fmt: skip
    totals = walk.run(rows, progress)
    return _report(store, question, whole, narrowed, facts.counted, totals)


def known_facts(store: Store, sizes: Sizes, progress: Progress) -> Facts:
    """What the store has counted, counted now where it has not."""
    path = store.folder / "facts.bin"
    try:
        found: Facts = decode(read_checked(path), (Facts, Counted))
    except StoreError:
        found = facts_of(store, sizes, progress)
        _keep(path, found)
    return found


def steps_file(patterns: tuple[str, ...]) -> str:
    """Where a store keeps what the steps of these patterns launched."""
    return f"steps-{hashlib.sha256(repr(patterns).encode()).hexdigest()[:16]}.bin"


_STEP_CLASSES = (StepWalk, Launched, Extent)


def known_steps(
    store: Store, patterns: tuple[StepPattern, ...], sizes: Sizes, progress: Progress
) -> tuple[Resident, StepWalk]:
    """The steps, and what they launched in the whole trace: found now where the store has not kept
    that."""
    patterns = effective(patterns, store.source)
    path = store.folder / steps_file(tuple(pattern.regex.pattern for pattern in patterns))
    try:
        matched, walked = decode(read_checked(path), _STEP_CLASSES)
        return resident_steps(store, patterns, matched), walked
    except StoreError:
        store.ranges.bytes_read += store.ranges["name"].nbytes
        matched = matching_rows(store.ranges["name"], store.strings, patterns, sizes.host_rows)
        resident = resident_steps(store, patterns, matched)
        rows = (0, store.operations.rows)
        found = walk_steps(store, resident, rows, None, None, sizes, progress)
        _keep(path, (matched, found))
        return resident, found


def _keep(path: Path, value: object) -> None:
    """Beside the columns, where there is room and permission; else it is found again next time."""
    with contextlib.suppress(OSError):
        write_checked(path, encode(value))


def keep_whole(folder: Path, trace: Trace, steps: Steps, question: Question) -> None:
    """Beside a store, what its first analysis in memory found out about all of its rows.

    `steps`: those of the report, kept only where nothing narrowed them.
    """
    if question.infer:
        return
    write_checked(folder / "facts.bin", encode(Facts(count_rows(trace), released_in(trace))))
    if (question.steps, question.start, question.end) == ((None, None), None, None):
        patterns = effective(question.patterns, trace.source)
        names = trace.ranges.name
        matched = matching_rows(names, trace.strings, patterns, max(len(names), 1))
        path = folder / steps_file(tuple(pattern.regex.pattern for pattern in patterns))
        write_checked(path, encode((matched, walk_whole(trace, steps))))


def _all(resident: Resident, whole: StepWalk) -> Narrowed:
    series = tuple(
        replace(one, by_time=whole.by_time[k], other_threads=dict(whole.other_threads[k]))
        for k, one in enumerate(resident.steps.series)
    )
    steps = Steps(series, whole.unassigned, whole.ambiguous)
    return Narrowed(
        steps, tuple(range(len(series))), tuple(np.ones(len(s), np.bool_) for s in series)
    )


def _narrow(narrowed: Narrowed, wanted: list[Bool]) -> Narrowed:
    """The same without the steps that are not wanted, and without series that have none left."""
    series, place, masks = [], [], []
    for k, mask in enumerate(wanted):
        if mask.any():
            series.append(narrowed.steps.series[k].only(mask))
            place.append(narrowed.place[k])
            masks.append(_within(narrowed.wanted[k], mask))
    return Narrowed(replace(narrowed.steps, series=tuple(series)), tuple(place), tuple(masks))


def _within(mask: Bool, inner: Bool) -> Bool:
    result = mask.copy()
    result[mask] = inner
    return result


def _by_number(
    store: Store, resident: Resident, whole: StepWalk, question: Question
) -> tuple[Question, Narrowed]:
    """As `analyze` narrows by --steps: the question with their window, and the steps in it."""
    narrowed = _all(resident, whole)
    if question.steps == (None, None):
        return question, narrowed
    series = narrowed.steps.series
    wanted = [numbered(one, *question.steps) for one in series]
    if not any(mask.any() for mask in wanted):
        raise no_such_steps(store.path, series, question.steps)
    narrowed = _narrow(narrowed, wanted)
    lows, highs = [], []
    for k, mask in zip(narrowed.place, narrowed.wanted, strict=True):
        for gpu in store.devices:
            launched = whole.launched.get((k, gpu.index))
            if launched is None or question.device not in (None, gpu.ordinal):
                continue
            mine = only(launched, mask)
            alive = np.flatnonzero(mine.count > 0)
            if len(alive):
                lows.append(int(mine.quiet[alive[np.argmin(mine.first[alive])]]))
                highs.append(int(mine.gpu_end[alive].max()))
    start, end = (min(lows), max(highs)) if lows else host_extent(narrowed.steps.series)
    question = replace(
        question,
        start=start if question.start is None else question.start,
        end=end if question.end is None else question.end,
    )
    return question, narrowed


def _by_window(
    store: Store,
    resident: Resident,
    whole: StepWalk,
    narrowed: Narrowed,
    question: Question,
    sizes: Sizes,
    progress: Progress,
) -> Narrowed:
    """The steps with an operation in the window; those without any, by their time on the host."""
    rows = rows_in(store, question.start, question.end)
    inside = walk_steps(store, resident, rows, question.start, question.end, sizes, progress)
    lo = -NEVER if question.start is None else question.start
    hi = NEVER if question.end is None else question.end

    def alive(walked: StepWalk, k: int) -> Bool:
        found = np.zeros(len(resident.steps.series[k]), np.bool_)
        for (place, _), launched in walked.launched.items():
            if place == k:
                found |= launched.count > 0
        return found

    wanted = []
    for one, k, mask in zip(narrowed.steps.series, narrowed.place, narrowed.wanted, strict=True):
        by_host = ~alive(whole, k)[mask] & (one.end > lo) & (one.start < hi)
        wanted.append(by_host | alive(inside, k)[mask])
    return _narrow(narrowed, wanted)


def _launched(walked: StepWalk, narrowed: Narrowed) -> dict[tuple[int, int], Launched]:
    """By position among the narrowed series; those that launched nothing are left out."""
    found = {}
    for k, (place, mask) in enumerate(zip(narrowed.place, narrowed.wanted, strict=True)):
        for device in walked.extents:
            launched = walked.launched.get((place, device))
            if launched is not None and (launched.count[mask] > 0).any():
                found[k, device] = only(launched, mask)
    return found


def _report(
    store: Store,
    question: Question,
    whole: StepWalk,
    narrowed: Narrowed,
    counted: Counted,
    totals: Totals,
) -> TraceReport:
    names = [cause.name for cause in causes()]
    found = list(totals.devices.values())
    steps = Steps(narrowed.steps.series, whole.unassigned, whole.ambiguous)
    gaps = tuple(
        OutlinedGaps(t.device, t.window_start, t.window_end, t.idle, t.gaps) for t in found
    )
    splits = [
        OutlinedSplit(dict(zip(names, t.causes.tolist(), strict=True)), t.skewed, t.skew_ns)
        for t in found
    ]
    series: list[SeriesSummary] = []
    for k, one in enumerate(narrowed.steps.series):
        for device in totals.devices.values():
            total = totals.series.get((k, device.device.index))
            if total is not None:
                series.append(series_summary(store, one, total, device, names, totals.drains))
    window = idle = 0
    if found:
        window = max(t.window_end for t in found) - min(t.window_start for t in found)
        idle = window - totals.everywhere.busy
    outline = OutlinedTrace(store)
    verdicts = judge(JudgedTrace(store), gaps, _splits(splits), steps, tuple(series), counted)
    return TraceReport(
        trace=outline,
        path=question.path or str(store.path),
        label=question.label or store.source.label,
        devices=tuple(_device(t, totals, names, counted) for t in found),
        all_window_ns=window,
        all_idle_ns=idle,
        series=tuple(series),
        host=tuple(summarize_host(one) for one in narrowed.steps.series),
        verdicts=verdicts,
        gaps=gaps,
        attributions=(),
        steps=Steps((), whole.unassigned, whole.ambiguous),
        detailed=tuple(_details(store, t, totals, names, question) for t in found),
    )


def _splits(splits: list[OutlinedSplit]) -> list[Attribution]:
    return splits  # type: ignore[return-value]  # what `judge` reads of them is there


def _device(
    total: DeviceTotals, totals: Totals, names: list[str], counted: Counted
) -> DeviceSummary:
    window = total.window_end - total.window_start
    busy = window - total.idle
    drained = {totals.drains.names[k]: ns for k, ns in total.drained.items()}
    return DeviceSummary(
        window_start_ns=total.window_start,
        window_end_ns=total.window_end,
        window_ns=window,
        busy_ns=busy,
        idle_ns=total.idle,
        operations=total.operations,
        gap_count=total.gaps,
        gaps=total.lengths.quantiles(),
        causes=dict(zip(names, total.causes.tolist(), strict=True)),
        drained_by=largest_first(drained),
        host_ranges=largest_first(total.host),
        handoffs=largest_first(total.handoffs),
        communication_ns=total.communication.busy,
        graph_level_ns=busy - total.not_graphs.busy if counted.graphs else 0,
    )


def _details(
    store: Store, total: DeviceTotals, totals: Totals, names: list[str], question: Question
) -> DeviceDetails:
    streams = [total.streams[key] for key in sorted(total.streams)]
    shown = [
        StreamFigures(
            pid_of(store.processes[process]), number, one.count, one.extent, one.busy, one.idle,
            one.gaps,
        )
        for (process, number), one in sorted(total.streams.items())
    ]  # fmt: skip
    return DeviceDetails(
        touched=dict(zip(names, total.touched.tolist(), strict=True)),
        top=tuple(total.top),
        streams=tuple(shown) if question.streams else (),
        definitions=definitions(
            (total.idle, total.gaps),
            total.over_1ms,
            total.kernels,
            streams,
            totals.nvidia[total.device.index],
            total.window_end - total.window_start,
        )
        if question.definitions
        else (),
    )
