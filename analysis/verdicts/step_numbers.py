"""What the numbers of the steps say of a recording: ranges that are missing, and pauses."""

from __future__ import annotations

import numpy as np
from msgspec import Struct

from ..idle.figures import SeriesSummary, Steady, StepTable
from ..idle.numbers import missing_after
from ..idle.steps import Steps, is_inferred
from ..model.verdict import Level, Verdict
from . import codes

_SHOWN = 5


class Hole(Struct, frozen=True):
    """Numbers that no step has, between two steps with work."""

    after: int
    """Numbers of the steps on either side."""
    before: int
    missing: int
    paused_ns: int
    """How long the GPU idled, where no work ran in the hole; else 0."""


def holes(table: StepTable, known: tuple[int, ...] = ()) -> list[Hole]:
    """In the order of the steps. `known`: numbers whose ranges were there and never closed."""
    missing = missing_after(table.number)
    if not missing.any():
        return []
    alive = np.flatnonzero(table.operations > 0)
    found = []
    for first, last in zip(alive[:-1].tolist(), alive[1:].tolist(), strict=True):
        low, high = int(table.number[first]), int(table.number[last])
        count = int(missing[first:last].sum())
        count -= sum(low < number < high for number in known)
        if count > 0:
            gap = int(table.gpu_start[last] - table.gpu_end[first])
            # An operation of no step between the two would have ended the gap.
            paused = gap if 0 < gap == int(table.inter[last]) else 0
            found.append(Hole(low, high, count, paused))
    return found


def judge_numbers(one: SeriesSummary, which: str) -> list[Verdict]:
    """Of one series on one device; `which` names it where there are several."""
    found = list[Verdict]()
    all_holes = [] if is_inferred(one.pattern) else holes(one.table, one.never_closed)
    lost = [hole for hole in all_holes if not hole.paused_ns]
    if lost:
        count = sum(hole.missing for hole in lost)
        steps = "1 step is" if count == 1 else f"{count} steps are"
        found.append(
            Verdict(
                "steps",
                Level.DEGRADED,
                codes.STEPS_MISSING,
                f"{which}{steps} missing by their numbers, which jump from {_jumps(lost)}, while "
                "the GPU worked; the periods around them are left out",
                "look for ranges that were lost or never closed; record a shorter window",
            )
        )
    paused = [hole for hole in all_holes if hole.paused_ns]
    if paused:
        total = sum(hole.paused_ns for hole in paused)
        found.append(
            Verdict(
                "device",
                Level.DEGRADED,
                codes.RECORDING_PAUSED,
                f"{which}step numbers jump from {_jumps(paused)}, and nothing ran in between: the "
                f"recording paused for {total / 1e6:,.1f} ms, which the whole window counts as "
                "idle, and no step does",
                "look at one stretch with --steps",
            )
        )
    return found


def _jumps(found: list[Hole]) -> str:
    shown = ", ".join(f"{hole.after} to {hole.before}" for hole in found[:_SHOWN])
    return shown + (", ..." if len(found) > _SHOWN else "")


def judge_own_edges(few: Steady, which: str) -> Verdict:
    """Of a series that has one or two steps with work."""
    one = few.steps == 1
    steps, their = ("1 step has", "its") if one else (f"{few.steps} steps have", "their")
    return Verdict(
        "steps",
        Level.DEGRADED,
        codes.FEW_STEPS,
        f"{which}{steps} GPU work, too few for a steady state: figures run from the start of "
        f"{their} first operation to the end of {their} last, edges of the recording included",
        "record 12 steps or more",
    )


def judge_unclosed(steps: Steps) -> list[Verdict]:
    """Of all series."""
    last = sum(int(np.count_nonzero(one.unclosed)) for one in steps.series)
    lost = sum(len(one.never_closed) for one in steps.series)
    if last + lost == 0:
        return []
    reason = f"{_count(last + lost, 'step range')} never closed"
    if lost:
        reason += f"; {lost} that other steps follow {'is' if lost == 1 else 'are'} left out"
    if last:
        reason += f"; {last} {'is' if last == 1 else 'are'} taken to end with the recording"
    return [
        Verdict(
            "steps",
            Level.DEGRADED,
            codes.UNCLOSED_STEPS,
            reason,
            "pop every range, or stop the capture after the last step",
        )
    ]


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
