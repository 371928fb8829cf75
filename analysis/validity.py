"""May this trace be believed? One verdict per figure and reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from .attribute import Attribution
from .causes.profiler import CAUSE as PROFILER
from .counted import Counted, count_rows
from .diagnostics import ERROR
from .gaps import DeviceGaps
from .intervals import clip, union
from .steps import Steps
from .summary import SeriesSummary
from .trace import Trace

MIN_INTERIOR_STEPS = 10
MISSING_GPU_ROWS = 0.01
"""Share of launches without GPU rows from which idle time is no longer believed at all."""
UNSEEN_CALLS = 10
"""Copies (or memsets) asked for, of which the trace holds none, that are no accident."""
OVERHEAD_SHARE = 0.05
UNKNOWN_SHARE = 0.05


class Level(StrEnum):
    """How far a figure may be believed."""

    OK = "ok"
    DEGRADED = "degraded"
    INVALID = "invalid"


@dataclass(frozen=True)
class Verdict:
    """What is wrong with which figures, and how to mend it."""

    figures: str
    """`device`, `steps`, `causes` or `all`."""
    level: Level
    code: str
    reason: str
    remedy: str


def judge(
    trace: Trace,
    gaps: Sequence[DeviceGaps],
    attributions: Sequence[Attribution],
    steps: Steps,
    series: tuple[SeriesSummary, ...],
    counted: Counted | None = None,
) -> tuple[Verdict, ...]:
    """Every verdict that applies; none means that all figures are ok.

    `counted`: what was counted of the rows before, where the trace does not hold all of them.
    """
    counted = counted or count_rows(trace)
    found = [
        *_activity(counted, gaps, steps),
        *_completeness(trace, counted),
        *_rows(trace),
        *_identity(trace),
        *_names(counted.nameless),
        *_graph(counted.graphs),
        *_overhead(trace, gaps),
        *_diagnostics(trace),
        *_launches(gaps, attributions),
        *_steps(steps, series, {gap.device.index: gap.device.ordinal for gap in gaps}),
    ]
    return tuple(found)


def _activity(counted: Counted, gaps: Sequence[DeviceGaps], steps: Steps) -> list[Verdict]:
    found = []
    if not gaps:
        code, what = "host-only", "the trace holds no GPU operations"
        if counted.operations:
            code, what = "empty-window", "no GPU operation lies in the chosen window"
        elif counted.calls:
            code = "gpu-rows-missing"
            what = f"{counted.calls} CUDA calls were recorded but not one GPU operation"
        remedy = {
            "host-only": "record with --trace=cuda on a machine with a GPU; host step times follow",
            "empty-window": "widen --start/--end or --steps",
            "gpu-rows-missing": "the GPU side of the trace failed (CUPTI against driver): see "
            "`harness doctor`",
        }[code]
        found.append(Verdict("device", Level.INVALID, code, what, remedy))
    if not steps.series:
        common = ", ".join(f"'{name}' ({n})" for name, n in counted.ranges)
        reason = "no NVTX range matches the step pattern"
        if common:
            remedy = f"choose one with --step; most common here: {common}"
        else:
            reason = "the trace holds no NVTX ranges"
            remedy = (
                "annotate the steps and record with --trace=nvtx (nvtx >= 0.2.12 records nothing "
                "under nsys before 2024: use nvtx<0.2.12), or try --infer-steps"
            )
        found.append(Verdict("steps", Level.INVALID, "device-only", reason, remedy))
    return found


def _completeness(trace: Trace, counted: Counted) -> list[Verdict]:
    found = []
    missing, launches = counted.missing, counted.launches
    if missing:
        share = missing / launches
        level = Level.INVALID if share >= MISSING_GPU_ROWS else Level.DEGRADED
        found.append(
            Verdict(
                "device",
                level,
                "launches-without-gpu-rows",
                f"{missing} of {launches} launches ({share:.2%}) left no GPU operation: busy time "
                "is missing, and shows as idle",
                "record again; if it stays, the profiler's CUPTI and the driver do not match",
            )
        )
    for what, calls in counted.unseen:
        if counted.operations and calls >= UNSEEN_CALLS:
            found.append(
                Verdict(
                    "device",
                    Level.DEGRADED,
                    "operations-missing",
                    f"{calls} CUDA calls ask for {what}, and the trace holds none: busy time is "
                    "missing, and shows as idle",
                    f"record again; none is lost only where the {what} were of no bytes or between "
                    "host and host",
                )
            )
    capture = trace.source.manifest.get("capture")
    facts = capture.get("completeness") if isinstance(capture, dict) else None
    if isinstance(facts, dict):
        found.extend(_capture_facts(facts))
    return found


def _capture_facts(facts: dict[str, object]) -> list[Verdict]:
    found = []
    problem = facts.get("known_problem")
    hint = f" (known problem: {problem})" if isinstance(problem, str) and problem else ""
    for key, what in (
        ("dropped", "activity records were dropped by CUPTI"),
        ("zero_timestamps", "GPU operations came without timestamps"),
        ("broken_buffers", "activity buffers could not be read to their end"),
        ("stop_result", "is what CUPTI answered when its last records were asked for"),
    ):
        count = facts.get(key)
        if isinstance(count, int) and count > 0:
            found.append(
                Verdict(
                    "device",
                    Level.INVALID,
                    f"capture-{key.replace('_', '-')}",
                    f"{count} {what}{hint}: the capture is incomplete",
                    "record a shorter window again",
                )
            )
    issued, kept = facts.get("ranges_issued"), facts.get("ranges_found")
    if isinstance(issued, int) and isinstance(kept, int) and kept < issued:
        found.append(
            Verdict(
                "steps",
                Level.DEGRADED if kept else Level.INVALID,
                "ranges-lost",
                f"{issued} NVTX ranges were issued, {kept} were recorded",
                "see `harness doctor` for the nvtx and nsys pair",
            )
        )
    return found


def _rows(trace: Trace) -> list[Verdict]:
    dropped = trace.dropped
    found = []
    if dropped.total:
        parts = [
            f"{n} {what}"
            for n, what in (
                (dropped.empty, "with end <= start"),
                (dropped.null, "without a start or an end"),
                (dropped.absurd, "with impossible times"),
            )
            if n
        ]
        found.append(
            Verdict(
                "device",
                Level.DEGRADED,
                "rows-dropped",
                f"GPU rows that count as not busy: {', '.join(parts)}",
                "record again if they are more than a handful",
            )
        )
    found.extend(
        Verdict("all", Level.DEGRADED, "manifest", note, "record again to renew the manifest")
        for note in trace.source.notes
    )
    return found


def _identity(trace: Trace) -> list[Verdict]:
    if not trace.ambiguous_devices:
        return []
    return [
        Verdict(
            "device",
            Level.DEGRADED,
            "device-identity",
            "several processes use the same device ordinal and the export names no uuid: they are "
            "taken for one device",
            "export with a newer nsys (TARGET_INFO_CUDA_DEVICE), or analyse one rank at a time",
        )
    ]


def _names(nameless: tuple[str, ...]) -> list[Verdict]:
    if not nameless:
        return []
    return [
        Verdict(
            "all",
            Level.DEGRADED,
            "names-missing",
            f"{' and '.join(nameless)} refer to names that the export does not hold (StringIds): "
            "waits are not known by name, and steps may be missing",
            "export the report again with `nsys export --type sqlite`",
        )
    ]


def _graph(graphs: int) -> list[Verdict]:
    if not graphs:
        return []
    return [
        Verdict(
            "device",
            Level.DEGRADED,
            "graph-level",
            f"{graphs} CUDA graph launches were recorded whole (graph-level): gaps inside a graph "
            "cannot be seen and count as busy",
            "record with --cuda-graph-trace=node to see inside, at the cost of slower graphs",
        )
    ]


def _overhead(trace: Trace, gaps: Sequence[DeviceGaps]) -> list[Verdict]:
    if not gaps or PROFILER.rows is None:
        return []
    rows = PROFILER.rows(trace, np.empty(0, np.int64))
    lo, hi = min(g.window_start for g in gaps), max(g.window_end for g in gaps)
    spent = clip(union(rows.start, rows.end), lo, hi).total
    share = spent / (hi - lo)
    if share < OVERHEAD_SHARE:
        return []
    return [
        Verdict(
            "all",
            Level.DEGRADED,
            "profiler-overhead",
            f"the profiler worked {spent / 1e6:.3f} ms inside the window ({share:.1%} of it)",
            "shorten the captured window, or trace less (--trace=cuda,nvtx)",
        )
    ]


def _diagnostics(trace: Trace) -> list[Verdict]:
    said = trace.source.diagnostics
    if not said:
        return []
    shown = "; ".join(
        f"'{d.text}'" + (f" ({d.count} times)" if d.count > 1 else "") for d in said[:3]
    )
    more = f" and {len(said) - 3} more" if len(said) > 3 else ""
    errors = any(d.severity == ERROR for d in said)
    return [
        Verdict(
            "all",
            Level.DEGRADED,
            "profiler-diagnostics",
            f"the profiler itself {'reported errors' if errors else 'warned'}: {shown}{more}",
            "see the diagnostics of the report in the Nsight GUI; record again if events were lost",
        )
    ]


def _launches(gaps: Sequence[DeviceGaps], attributions: Sequence[Attribution]) -> list[Verdict]:
    idle = sum(g.idle_ns for g in gaps)
    if not idle:
        return []
    unknown = sum(a.total["unknown"] for a in attributions)
    found = []
    if unknown > UNKNOWN_SHARE * idle:
        level = Level.INVALID if unknown > 0.9 * idle else Level.DEGRADED
        found.append(
            Verdict(
                "causes",
                level,
                "launches-unknown",
                f"{unknown / idle:.0%} of the idle time precedes operations whose launch was not "
                "recorded",
                "trace the CUDA API too, and start recording before the work is launched",
            )
        )
    skewed = sum(a.skewed for a in attributions)
    total = sum(len(g) for g in gaps)
    if skewed > 0.01 * total:
        worst = max(a.skew_ns for a in attributions)
        found.append(
            Verdict(
                "causes",
                Level.DEGRADED,
                "clock-skew",
                f"{skewed} of {total} gaps end before the launch of their operation began (by up "
                f"to {worst / 1000:.1f} µs): host and GPU clocks disagree; clamped",
                "causes are uncertain by that much; idle time is not affected",
            )
        )
    return found


def _steps(
    steps: Steps, series: tuple[SeriesSummary, ...], ordinals: dict[int, int]
) -> list[Verdict]:
    """`ordinals`: of the devices looked at, by their index."""
    found = []
    if steps.series and ordinals and not series:
        count = sum(map(len, steps.series))
        found.append(
            Verdict(
                "steps",
                Level.INVALID,
                "dead-steps",
                f"none of {count} steps launched GPU work that is looked at",
                "look at them: skipped work, ranges that do not enclose the launches, or --device",
            )
        )
    for one in series:
        which = ""
        if len(series) > 1:
            which = f"thread {one.tid} on GPU {ordinals[one.device]}: "
        count = one.steady.steps if one.steady else 0
        if count < MIN_INTERIOR_STEPS:
            level = Level.DEGRADED if count else Level.INVALID
            found.append(
                Verdict(
                    "steps",
                    level,
                    "few-steps",
                    f"{which}{count} steady-state steps (first and last left out), fewer than "
                    f"{MIN_INTERIOR_STEPS}",
                    "record a longer window",
                )
            )
        if one.dead_steps:
            shown = ", ".join(map(str, one.dead_steps[:5]))
            more = ", ..." if len(one.dead_steps) > 5 else ""
            found.append(
                Verdict(
                    "steps",
                    Level.DEGRADED,
                    "dead-steps",
                    f"{which}{len(one.dead_steps)} steps launched no GPU work (step {shown}{more})"
                    "; they are left out of the averages",
                    "look at them: skipped work, or ranges that do not enclose the launches",
                )
            )
    unclosed = sum(int(np.count_nonzero(s.unclosed)) for s in steps.series)
    if unclosed:
        found.append(
            Verdict(
                "steps",
                Level.DEGRADED,
                "unclosed-steps",
                f"{unclosed} step ranges never closed; they end with the recording",
                "pop every range, or stop the capture after the last step",
            )
        )
    if steps.ambiguous:
        found.append(
            Verdict(
                "steps",
                Level.DEGRADED,
                "ambiguous-operations",
                f"{steps.ambiguous} operations were launched while several steps were open; they "
                "belong to none",
                "narrow the pattern to one kind of range",
            )
        )
    return found
