"""May this trace be believed? One verdict per figure and reason."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from ..idle.choose.choice import Chosen
from ..idle.counts import Counted
from ..idle.device_totals import DeviceTotals
from ..idle.figures import SeriesSummary
from ..idle.physics.call_ids import CallsLost
from ..idle.steps import Steps
from ..model.source import Source
from ..model.trace import Trace
from ..model.verdict import Level, Verdict
from ..store.opened import Store
from . import codes
from .census import judge_census, steps_elsewhere
from .chosen import no_steps
from .physics import judge_physics, judge_skew
from .recorder import judge_recorder
from .remedies import Remedies, remedies
from .step_numbers import judge_numbers, judge_own_edges, judge_unclosed
from .unusable import of_operations, unusable_rows

__all__ = ["Level", "Verdict", "judge"]

MIN_INTERIOR_STEPS = 10
MISSING_GPU_ROWS = 0.01
"""Share of launches without GPU rows from which idle time is no longer believed at all."""
UNSEEN_CALLS, UNSEEN_SOME, UNSEEN_SHARE = 10, 5, 0.2
"""Copies (or memsets) asked for that left none and are no accident: where none of all left one,
where others did, and their share of all."""
UNKNOWN_SHARE = 0.05


def judge(
    trace: Trace | Store,
    devices: Sequence[DeviceTotals],
    steps: Steps,
    series: tuple[SeriesSummary, ...],
    counted: Counted,
    calls: CallsLost,
    chosen: Chosen | None = None,
    *,
    outside: bool = False,
    cut: bool = False,
) -> tuple[Verdict, ...]:
    """Every verdict that applies; none means that all figures are ok. `chosen`: how the steps were,
    if not asked for. `outside`: there are steps, some of them perhaps outside of the window. `cut`:
    the window may be a part of the trace."""
    found = [
        *_activity(trace, counted, steps, working=bool(devices)),
        *([] if steps.series else no_steps(trace, counted, chosen, outside=outside)),
        *_completeness(counted, remedies(trace.source)),
        *judge_census(trace, counted),
        *judge_physics(counted.physics, calls, devices),
        *_rows(trace, counted),
        *_identity(trace),
        *_misplaced(trace, counted),
        *_names(counted.nameless),
        *_graph(counted.graphs),
        *judge_recorder(trace, devices, counted, steps),
        *_accelerator(trace.source, counted),
        *(_unknown(devices, remedies(trace.source)) if trace.source.calls_known else ()),
        *judge_skew(counted.physics, devices),
        *_flags(*counted.flags),
        *_steps(steps, series, counted, {one.device.index: one.device.ordinal for one in devices}),
    ]
    return tuple(map(_of_whole_trace, found) if cut else found)


def _of_whole_trace(verdict: Verdict) -> Verdict:
    """The same, with the word that it counts what lies outside of the window too, where it does."""
    if verdict.code not in codes.OF_WHOLE_TRACE:
        return verdict
    return replace(verdict, reason=f"in the whole trace, {verdict.reason}")


def _activity(
    trace: Trace | Store, counted: Counted, steps: Steps, *, working: bool
) -> list[Verdict]:
    found = []
    mend = remedies(trace.source)
    if not working:
        unusable = trace.dropped.total
        code, what = codes.HOST_ONLY, "the trace holds no GPU operations"
        if counted.operations:
            code, what = codes.EMPTY_WINDOW, "no GPU operation lies in the chosen window"
        elif unusable:
            code = codes.GPU_ROWS_UNUSABLE
            what = f"none of the trace's {unusable} GPU operations can be used: "
            what += of_operations(trace.dropped)
        elif counted.calls:
            code = codes.GPU_ROWS_MISSING
            api = trace.source.accelerator
            what = f"{counted.calls} {api} calls were recorded but not one GPU operation"
        remedy = {
            codes.HOST_ONLY: mend.record_gpu,
            codes.EMPTY_WINDOW: "widen --start/--end or --steps",
            codes.GPU_ROWS_UNUSABLE: mend.unusable_rows,
            codes.GPU_ROWS_MISSING: mend.gpu_side,
        }[code]
        if code == codes.HOST_ONLY and steps.series:
            remedy += "; host step times follow"
        found.append(Verdict("device", Level.INVALID, code, what, remedy))
    return found


def _completeness(counted: Counted, remedy: Remedies) -> list[Verdict]:
    found = []
    missing, launches = counted.missing, counted.launches
    if missing:
        share = missing / launches
        level = Level.INVALID if share >= MISSING_GPU_ROWS else Level.DEGRADED
        found.append(
            Verdict(
                "device",
                level,
                codes.LAUNCHES_WITHOUT_GPU_ROWS,
                f"{missing} of {launches} launches ({share:.2%}) left no GPU operation: busy time "
                "is missing, and shows as idle",
                remedy.lost_rows,
            )
        )
    for what, none, calls in counted.unseen:
        least = UNSEEN_CALLS if none == calls else max(UNSEEN_SOME, UNSEEN_SHARE * calls)
        if counted.operations and none >= least:
            found.append(
                Verdict(
                    "device",
                    Level.DEGRADED,
                    codes.OPERATIONS_MISSING,
                    f"{calls} CUDA calls ask for {what}, and "
                    + ("the trace holds none" if none == calls else f"{none} of them left none")
                    + ": busy time is missing, and shows as idle",
                    f"record again, unless these {what} were of no bytes"
                    + (" or from host to host" if what == "copies" else "")
                    + ": then nothing was lost",
                )
            )
    return found


def _rows(trace: Trace | Store, counted: Counted) -> list[Verdict]:
    found = unusable_rows(trace, counted)
    found.extend(
        Verdict("all", Level.DEGRADED, codes.MANIFEST, note, "record again to renew the manifest")
        for note in trace.source.notes
    )
    return found


def _misplaced(trace: Trace | Store, counted: Counted) -> list[Verdict]:
    if not trace.misplaced or not counted.operations:
        return []
    share = trace.misplaced / counted.operations
    return [
        Verdict(
            "device",
            Level.INVALID if share >= MISSING_GPU_ROWS else Level.DEGRADED,
            codes.WRONG_DEVICE,
            f"{trace.misplaced} GPU operations ({share:.2%}) name another device than the others "
            "of their context: work is missing on its own",
            "record again; a context belongs to one device",
        )
    ]


def _identity(trace: Trace | Store) -> list[Verdict]:
    if not trace.ambiguous_devices:
        return []
    return [
        Verdict(
            "device",
            Level.DEGRADED,
            codes.DEVICE_IDENTITY,
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
            codes.NAMES_MISSING,
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
            codes.GRAPH_LEVEL,
            f"{graphs} CUDA graph launches were recorded whole (graph-level): gaps inside a graph "
            "cannot be seen and count as busy",
            "record with --cuda-graph-trace=node to see inside, at the cost of slower graphs",
        )
    ]


def _accelerator(source: Source, counted: Counted) -> list[Verdict]:
    if source.calls_known or not counted.operations:
        return []
    return [
        Verdict(
            "causes",
            Level.INVALID,
            codes.ACCELERATOR_UNKNOWN,
            f"the trace is of {source.accelerator}: which of its calls launch, wait or allocate "
            "is not known, so neither is what the device waited for",
            "take the device's figures and the host's step times; causes need CUDA, HIP or XPU",
        )
    ]


def _unknown(devices: Sequence[DeviceTotals], remedy: Remedies) -> list[Verdict]:
    paused = sum(one.paused for one in devices)
    idle = sum(one.idle for one in devices) - paused
    if not idle:
        return []
    unknown = sum(one.by_cause.named()["unknown"] for one in devices) - paused
    found = []
    if unknown > UNKNOWN_SHARE * idle:
        level = Level.INVALID if unknown > 0.9 * idle else Level.DEGRADED
        found.append(
            Verdict(
                "causes",
                level,
                codes.LAUNCHES_UNKNOWN,
                f"{unknown / idle:.0%} of the idle time precedes operations whose launch was not "
                "recorded",
                remedy.record_calls,
            )
        )
    return found


def _flags(followed: int, copies: int) -> list[Verdict]:
    if not followed:
        return []
    return [
        Verdict(
            "causes",
            Level.DEGRADED,
            codes.FLAG_WAITS,
            "the host waits for flags in pinned memory: no call shows it; it was inferred from "
            f"{followed} of {copies} copies to the host, after each of which the thread went on",
            "what a thread did before it began to look is counted with its wait; wait by an event "
            "to see it apart",
        )
    ]


def _steps(
    steps: Steps,
    series: tuple[SeriesSummary, ...],
    counted: Counted,
    ordinals: dict[int, int],
) -> list[Verdict]:
    """`ordinals`: of the devices looked at, by their index."""
    found = []
    if steps.series and ordinals and not series:
        count = sum(map(len, steps.series))
        found.append(
            steps_elsewhere(counted, steps)
            or Verdict(
                "steps",
                Level.INVALID,
                codes.DEAD_STEPS,
                f"none of {count} steps launched GPU work that is looked at",
                "look at them: skipped work, ranges that do not enclose the launches, or --device",
            )
        )
    for one in series:
        which = ""
        if len(series) > 1:
            which = f"thread {one.tid} on GPU {ordinals[one.device]}: "
        count = one.steady.steps if one.steady else 0
        if one.own_edges is not None:
            found.append(judge_own_edges(one.own_edges, which))
        elif count < MIN_INTERIOR_STEPS:
            level = Level.DEGRADED if count else Level.INVALID
            found.append(
                Verdict(
                    "steps",
                    level,
                    codes.FEW_STEPS,
                    f"{which}{count} steady-state step{'' if count == 1 else 's'} (first and last "
                    f"left out), fewer than {MIN_INTERIOR_STEPS}",
                    "record a longer window",
                )
            )
        if one.dead_steps:
            shown = ", ".join(map(str, one.dead_steps[:5]))
            more = ", ..." if len(one.dead_steps) > 5 else ""
            alone = len(one.dead_steps) == 1
            steps_that = "1 step" if alone else f"{len(one.dead_steps)} steps"
            numbers = f"{'step' if alone else 'steps'} {shown}{more}"
            found.append(
                Verdict(
                    "steps",
                    Level.DEGRADED,
                    codes.DEAD_STEPS,
                    f"{which}{steps_that} launched no GPU work ({numbers}); the averages "
                    "leave out both step and time",
                    "look at them: skipped work, or ranges that do not enclose the launches",
                )
            )
        found.extend(judge_numbers(one, which))
    found.extend(judge_unclosed(steps))
    if steps.ambiguous:
        found.append(
            Verdict(
                "steps",
                Level.DEGRADED,
                codes.AMBIGUOUS_OPERATIONS,
                f"{steps.ambiguous} operations were launched while several steps were open; they "
                "belong to none",
                "narrow the pattern to one kind of range",
            )
        )
    return found
