"""What is said of the choice of the steps, and where there are none."""

from __future__ import annotations

from ..idle.choose.choice import Chosen
from ..idle.counts import Counted
from ..model.trace import Trace
from ..model.verdict import Level, Verdict
from ..store.opened import Store
from . import codes
from .remedies import TRY_INFERRED, remedies
from .unusable import of_host


def judge_chosen(chosen: Chosen | None, inferred: str) -> tuple[Verdict, ...]:
    """What was taken for steps, if it was not asked for and is not the harness's own. `inferred`:
    how sure steps are that no range marks."""
    if inferred:
        if chosen is None:
            reason, remedy = inferred, "mark the steps with ranges for exact ones"
        else:
            none = f" ({chosen.reason})" if chosen.reason else ""
            reason = f"no range marks steps{none}; repeats of the work are taken: {inferred}"
            remedy = (
                "mark the steps with ranges for exact ones, or choose ranges with --step 'GLOB'"
            )
        return (Verdict("steps", Level.DEGRADED, codes.INFERRED_STEPS, reason, remedy),)
    if chosen is None or not chosen.ranges or chosen.own:
        return ()
    remedy = "--step 'GLOB' takes others"
    return (Verdict("steps", Level.OK, codes.CHOSEN_STEPS, chosen.reason, remedy),)


def no_steps(
    trace: Trace | Store, counted: Counted, chosen: Chosen | None, *, outside: bool
) -> list[Verdict]:
    """Where there are no steps. `outside`: there are some, outside of the window."""
    mend = remedies(trace.source)
    common = ", ".join(f"'{name}' ({n})" for name, n in counted.ranges)
    unusable = trace.ranges_dropped.total
    tried = chosen is not None and bool(chosen.loop) and counted.operations > 0
    or_infer = "" if tried else TRY_INFERRED
    if outside:
        reason, remedy = "no step lies in the chosen window", "widen --start/--end or --steps"
    elif common:
        reason = f"no {mend.range_name} matches the step pattern"
        if chosen is not None:
            reason = f"no {mend.range_name} repeats as a step does"
            reason += f" ({chosen.reason})" if chosen.reason else ""
        remedy = f"choose one with --step; most common here: {common}"
    elif unusable:
        reason = f"none of the trace's {unusable} {mend.range_name}s can be used: "
        reason += of_host(trace.ranges_dropped)
        remedy = f"record again{or_infer}"
    else:
        any_range = any(one.ranges for one in counted.processes)
        of_libraries = " but those of operators and libraries" if any_range else ""
        reason = f"the trace holds no {mend.range_name}s{of_libraries}"
        remedy = mend.mark_steps + or_infer
    if tried and chosen is not None and not outside:
        reason += f"; {chosen.loop}"
    return [Verdict("steps", Level.INVALID, codes.DEVICE_ONLY, reason, remedy)]
