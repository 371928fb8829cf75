"""What is said where no range marks the steps: of repeats of the work, or that there are none."""

from __future__ import annotations

from ..idle.choose.choice import Chosen
from ..idle.counts import Counted
from ..model.trace import Trace
from ..model.verdict import Level, Verdict
from ..store.opened import Store
from . import codes
from .remedies import TRY_INFERRED, remedies
from .unusable import of_host


def judge_inferred(
    trace: Trace | Store, counted: Counted, chosen: Chosen | None, inferred: str
) -> tuple[Verdict, ...]:
    """Of steps by repetition; `inferred`: how sure they are, empty where ranges mark them."""
    if not inferred:
        return ()
    reason, remedy = inferred, "mark the steps with ranges for exact ones"
    if chosen is not None:
        reason = (
            f"{_why_no_range(trace, counted, chosen)}; repeats of the work are taken: {inferred}"
        )
        if counted.ranges:
            remedy += f", or choose some with --step; most common here: {_common(counted)}"
    return (Verdict("steps", Level.DEGRADED, codes.INFERRED_STEPS, reason, remedy),)


def no_steps(
    trace: Trace | Store, counted: Counted, chosen: Chosen | None, *, outside: bool
) -> list[Verdict]:
    """Where there are no steps. `outside`: there are some, outside of the window."""
    tried = chosen is not None and bool(chosen.loop)
    or_infer = "" if tried else TRY_INFERRED
    reason = _why_no_range(trace, counted, chosen)
    if outside:
        reason, remedy = "no step lies in the chosen window", "widen --start/--end or --steps"
    elif counted.ranges:
        remedy = f"choose one with --step; most common here: {_common(counted)}"
    elif trace.ranges_dropped.total:
        remedy = f"record again{or_infer}"
    else:
        remedy = remedies(trace.source).mark_steps + or_infer
    if tried and chosen is not None and not outside:
        reason += f"; {chosen.loop}"
    return [Verdict("steps", Level.INVALID, codes.DEVICE_ONLY, reason, remedy)]


def _common(counted: Counted) -> str:
    return ", ".join(f"'{name}' ({n})" for name, n in counted.ranges)


def _why_no_range(trace: Trace | Store, counted: Counted, chosen: Chosen | None) -> str:
    what = remedies(trace.source).range_name
    if counted.ranges and chosen is None:
        return f"no {what} matches the step pattern"
    if counted.ranges and chosen is not None:
        why = f" ({chosen.reason})" if chosen.reason else ""
        return f"no {what} repeats as a step does{why}"
    if unusable := trace.ranges_dropped.total:
        return (
            f"none of the trace's {unusable} {what}s can be used: {of_host(trace.ranges_dropped)}"
        )
    any_range = any(one.ranges for one in counted.processes)
    of_libraries = " but those of operators and libraries" if any_range else ""
    return f"the trace holds no {what}s{of_libraries}"
