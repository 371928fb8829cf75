"""What the recorder knew of its own recording: losses, remarks, the time it took for itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..idle.causes.claims import profiler_rows
from ..idle.counts import Counted
from ..idle.device_totals import DeviceTotals
from ..idle.steps import Steps, StepSeries
from ..model.intervals import clip, union
from ..model.source import ERROR
from ..model.trace import Trace
from ..model.verdict import Level, Verdict
from ..store.opened import Store
from . import codes
from .remedies import remedies

OVERHEAD_SHARE = 0.05


def judge_recorder(
    trace: Trace | Store, devices: Sequence[DeviceTotals], counted: Counted, steps: Steps
) -> list[Verdict]:
    """Every verdict that follows from the manifest, overhead rows and diagnostics."""
    capture = trace.source.manifest.get("capture")
    given = capture.get("completeness") if isinstance(capture, dict) else None
    facts = given if isinstance(given, dict) else {}
    said = _diagnostics(trace, counted, facts, steps)
    return [*_counts(facts), *_overhead(trace, devices), *said]


def _counts(facts: dict[str, object]) -> list[Verdict]:
    found = []
    problem = facts.get("known_problem")
    hint = f" (known problem: {problem})" if isinstance(problem, str) and problem else ""
    for key, code, what in (
        ("dropped", codes.CAPTURE_DROPPED, "activity records were dropped by CUPTI"),
        (
            "zero_timestamps",
            codes.CAPTURE_ZERO_TIMESTAMPS,
            "GPU operations came without timestamps",
        ),
        (
            "broken_buffers",
            codes.CAPTURE_BROKEN_BUFFERS,
            "activity buffers could not be read to their end",
        ),
        (
            "stop_result",
            codes.CAPTURE_STOP_RESULT,
            "is what CUPTI answered when its last records were asked for",
        ),
    ):
        count = facts.get(key)
        if isinstance(count, int) and count > 0:
            found.append(
                Verdict(
                    "device",
                    Level.INVALID,
                    code,
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
                codes.RANGES_LOST,
                f"{issued} NVTX ranges were issued, {kept} were recorded",
                "see `harness doctor` for the nvtx and nsys pair",
            )
        )
    return found


def _overhead(trace: Trace | Store, devices: Sequence[DeviceTotals]) -> list[Verdict]:
    if not devices:
        return []
    rows = profiler_rows(trace)
    lo, hi = min(one.window_start for one in devices), max(one.window_end for one in devices)
    spent = clip(union(rows.start, rows.end), lo, hi).total
    share = spent / (hi - lo)
    if share < OVERHEAD_SHARE:
        return []
    return [
        Verdict(
            "all",
            Level.DEGRADED,
            codes.PROFILER_OVERHEAD,
            f"the profiler worked {spent / 1e6:.3f} ms inside the window ({share:.1%} of it)",
            remedies(trace.source).lighter,
        )
    ]


def _diagnostics(
    trace: Trace | Store, counted: Counted, facts: dict[str, object], steps: Steps
) -> list[Verdict]:
    def refuted(doubted: str | None) -> bool:
        """nsys says of every recording of a range that events "might" be missing."""
        if doubted == "unified memory":
            return not counted.managed
        if doubted == "CUDA":
            return counted.launches > 0 and not counted.missing and not counted.physics.nodes.lost
        return doubted == "NVTX" and (_ranges_all_there(facts) or _no_step_missing(trace, steps))

    said = [d for d in trace.source.diagnostics if not refuted(d.doubted)]
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
            codes.PROFILER_DIAGNOSTICS,
            f"the profiler itself {'reported errors' if errors else 'warned'}: {shown}{more}",
            "see the diagnostics of the report in the Nsight GUI; record again if events were lost",
        )
    ]


def _ranges_all_there(facts: dict[str, object]) -> bool:
    """Whether the recorder counted the ranges that were opened, and found as many."""
    issued, found = facts.get("ranges_issued"), facts.get("ranges_found")
    return isinstance(issued, int) and isinstance(found, int) and 0 < issued <= found


def _no_step_missing(trace: Trace | Store, steps: Steps) -> bool:
    """Whether the steps carry numbers at equal distances, as 0, 1, 2 or 10, 20, 30."""
    return bool(steps.series) and all(_counts_on(trace, series) for series in steps.series)


def _counts_on(trace: Trace | Store, series: StepSeries) -> bool:
    numbers, apart = series.number, np.diff(series.number)
    if len(numbers) < 3 or series.unclosed.any() or apart[0] <= 0 or (apart != apart[0]).any():
        return False
    named = zip(series.name.tolist(), numbers.tolist(), strict=True)
    return all(trace.strings[name].endswith(str(number)) for name, number in named)
