"""Sets scenes: the lanes around one gap, one step, or any window of a trace."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from ..idle.attribute import OUTSIDE, drained_names
from ..idle.gaps import DeviceGaps
from ..model.arrays import factorize
from ..model.cuda_calls import host_waits
from ..model.flag_waits import FLAG
from ..model.intervals import Int64, Intervals, clip, pieces
from ..model.names import operation_name
from ..model.nesting import innermost
from ..model.short_names import cut
from ..model.trace import EVERY_THREAD, Trace
from ..report import TraceReport
from .lanes import api_lane, range_lane, stream_lanes
from .scene import Lane, Part, Scene, Shade
from .states import States, gap_states

MAX_THREADS = 3
SHADES = 60
"""Gaps shaded in one scene, longest first."""
PARTS = 12
"""Parts into which the focused gap is told apart; the rest is added up."""
LONG_NAME = 96


def scene_of(
    report: TraceReport,
    device: int,
    start: int,
    end: int,
    *,
    focus: int = -1,
    zero: int | None = None,
    title: str = "",
) -> Scene:
    """The scene of `[start, end)` on the report's `device`-th DeviceGaps.

    `focus` is the index of the gap that the scene is about, -1 for none.
    """
    trace, gaps, split = report.trace, report.gaps[device], report.attributions[device]
    end = max(end, start + 1)
    near = np.flatnonzero((gaps.end > start) & (gaps.start < end))
    states = gap_states(trace, gaps, split, near)
    operations = trace.operations
    rows = np.flatnonzero(
        (operations.device == gaps.device.index)
        & (operations.start < end)
        & (operations.end > start)
    )
    steps = {k: one for one in reversed(report.steps.series) for k in one.threads}
    lanes: list[Lane] = []
    for thread in _threads(report, rows):
        names = {int(n) for n in steps[thread].name} if thread in steps else set()
        lanes += [
            lane
            for lane in (
                range_lane(trace, thread, start, end, names),
                api_lane(trace, thread, start, end),
            )
            if lane is not None
        ]
    lanes += stream_lanes(trace, rows)
    lanes.append(_busy_lane(gaps, start, end))
    causes = tuple(cause.name for cause in split.causes)
    lanes.append(
        Lane(
            "idle, by cause", "idle", "idle", states.start, states.end,
            np.zeros(len(states), np.int64), states.cause.astype(np.int64),
            states.cause.astype(np.int64), np.ones(len(states), np.int64),
            causes, tuple(f"cause-{name}" for name in causes),
        )
    )  # fmt: skip
    drained = ""
    parts: tuple[Part, ...] = ()
    if focus >= 0:
        one = np.array([focus])
        drained = next(iter(drained_names(trace, split.drained_by[one], gaps.length[one])), "")
        launch = int(split.launch[focus])
        thread = int(trace.calls.thread[launch]) if launch >= 0 else -1
        own = gap_states(trace, gaps, split, one)
        parts = _parts(trace, gaps, own, causes, focus, launch, thread)
    return Scene(
        title=title,
        start=start,
        end=end,
        zero=start if zero is None else zero,
        lanes=tuple(lanes),
        gaps=_shades(gaps, near, focus),
        parts=parts,
        drained_by=drained,
    )


def _threads(report: TraceReport, rows: Int64) -> list[int]:
    """The threads worth a lane: those with steps first, then those that launched most here."""
    trace = report.trace
    launch = trace.operations.launch[rows]
    launched = Counter(trace.calls.thread[launch[launch >= 0]].tolist())
    chosen = [k for one in report.steps.series for k in (one.thread_index, *one.threads)]
    if launched:
        chosen = [t for t in chosen if t in launched] or chosen[:1]
    chosen += [thread for thread, _ in launched.most_common()]
    return list(dict.fromkeys(chosen))[:MAX_THREADS]


def _busy_lane(gaps: DeviceGaps, start: int, end: int) -> Lane:
    busy = clip(gaps.busy, start, end)
    zero = np.zeros(len(busy), np.int64)
    title = f"{gaps.device.label.partition(' (')[0]} busy"
    ones = np.ones(len(busy), np.int64)
    return Lane(
        title, "gpu", "busy", busy.start, busy.end, zero, zero, zero, ones, ("busy",), ("busy",)
    )


def _shades(gaps: DeviceGaps, near: Int64, focus: int) -> tuple[Shade, ...]:
    length = gaps.length
    if len(near) > SHADES:
        near = near[np.argsort(-length[near], kind="stable")[:SHADES]]
        if focus >= 0 and focus not in near:
            near = np.append(near[:-1], focus)
    return tuple(
        Shade(int(gaps.start[k]), int(gaps.end[k]), int(length[k]), int(k) == focus)
        for k in sorted(near.tolist())
    )


def _parts(
    trace: Trace,
    gaps: DeviceGaps,
    states: States,
    causes: tuple[str, ...],
    gap: int,
    launch: int,
    thread: int,
) -> tuple[Part, ...]:
    """The focused gap by cause and what it was about, in the order of first occurrence."""
    spent: dict[tuple[str, str], int] = {}
    for start, end, code in zip(
        states.start.tolist(), states.end.tolist(), states.cause.tolist(), strict=True
    ):
        cause = causes[code]
        for what, ns in _about(trace, gaps, cause, start, end, gap, launch, thread):
            spent[cause, what] = spent.get((cause, what), 0) + ns
    parts = [Part(cause, what, ns) for (cause, what), ns in spent.items()]
    if len(parts) <= PARTS:
        return tuple(parts)
    kept = sorted(parts, key=lambda p: -p.ns)[: PARTS - 1]
    others = [p for p in parts if p not in kept]
    rest = Part("", f"{len(others)} smaller parts", sum(p.ns for p in others))
    return (*(p for p in parts if p in kept), rest)


def _about(
    trace: Trace,
    gaps: DeviceGaps,
    cause: str,
    start: int,
    end: int,
    gap: int,
    launch: int,
    thread: int,
) -> Sequence[tuple[str, int]]:
    """What a stretch of one cause was about: the ranges, the call, or the operation launched."""
    calls = trace.calls
    if cause in ("tail", "unknown") or launch < 0:
        return [("", end - start)]
    if cause == "launch":
        return [(calls.names[calls.name[launch]], end - start)]
    if cause in ("host", "handoff"):
        return _in_ranges(trace, thread, start, end)
    if start >= calls.end[launch]:
        return [(cut(operation_name(trace, int(gaps.after[gap])), LONG_NAME), end - start)]
    overheads = trace.overheads
    table = (
        (overheads.start, overheads.end, overheads.thread)
        if cause == "profiler"
        else (_begun(trace, cause), calls.end, calls.thread)
    )
    mine = (table[2] == thread) | (table[2] == EVERY_THREAD)
    open_here = np.flatnonzero(mine & (table[0] <= start) & (table[1] >= end))
    if len(open_here) == 0:
        # Waiting, and in no call.
        return [(FLAG if cause == "sync" else "", end - start)]
    row = int(open_here[-1])
    if cause == "profiler":
        return [(trace.strings[int(overheads.name[row])][:LONG_NAME], end - start)]
    return [(calls.names[calls.name[row]], end - start)]


def _begun(trace: Trace, cause: str) -> Int64:
    """When each call began; of a wait also the time between the queries of a poll."""
    return host_waits(trace).starts(trace.calls) if cause == "sync" else trace.calls.start


def _in_ranges(trace: Trace, thread: int, start: int, end: int) -> list[tuple[str, int]]:
    ranges = trace.ranges
    mine = np.flatnonzero(
        (ranges.thread == thread)
        & (ranges.end_thread == thread)
        & (ranges.start < end)
        & (ranges.end > start)
    )
    stretches, owner = innermost(ranges.start[mine], ranges.end[mine])
    whole = Intervals(np.array([start], np.int64), np.array([end], np.int64))
    first, last, _, which = pieces(whole, stretches)
    found: list[tuple[str, int]] = []
    inside = 0
    codes, ids = factorize(ranges.name[mine[owner[which]]])
    for code, ns in zip(codes.tolist(), (last - first).tolist(), strict=True):
        found.append((trace.strings[int(ids[code])][:LONG_NAME], ns))
        inside += ns
    if end - start > inside:
        found.append((OUTSIDE, end - start - inside))
    return found
