"""The steps of a trace in memory: those asked for, those chosen, else repeats of the work."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from ...model.trace import Trace
from ...question import Question
from ...store.opened import Store
from ...store.whole import Whole
from ..assign import find_steps
from ..errors import NoLoopFound
from ..sizes import Sizes
from ..steps import Steps
from .choice import Chosen, choose

MOST_OPERATIONS, MOST_HOST_ROWS = 100_000, 1_000_000
"""GPU operations, and CUDA calls and ranges, of a trace in which repeats are looked for though
nobody asked for them: as many as any memory holds."""
SURE = 0.75
"""Confidence from which repeats are taken for steps though nobody asked for them."""


class Found(Struct, frozen=True):
    """The steps of a trace in memory. `chosen` is None where they were asked for; `inferred` says
    how sure steps are that no range marks, else it is empty."""

    steps: Steps
    chosen: Chosen | None
    inferred: str = ""


def steps_in_memory(trace: Trace, tables: Whole, question: Question) -> Found:
    """The steps that the question is about. Raises NoLoopFound where repeats are asked for, and
    there are none."""
    if question.infer:
        steps, said, _ = _inferred(trace, question.device)
        return Found(steps, None, said)
    if question.patterns:
        return Found(find_steps(trace, question.patterns), None)
    chosen = choose(tables, Sizes.all(trace))
    if chosen.ranges:
        return Found(find_steps(trace, chosen.patterns), chosen)
    none = Steps((), len(trace.operations), 0)
    if not len(trace.operations):
        return Found(none, chosen)
    if not small(tables):
        return Found(none, not_looked_for(chosen))
    try:
        steps, said, confidence = _inferred(trace, question.device)
    except NoLoopFound as error:
        why = str(error.args[0]).removeprefix(f"{trace.path}: ")
        return Found(none, replace(chosen, loop=f"no loop is sure in the launches: {why}"))
    if confidence < SURE:
        return Found(none, replace(chosen, loop=f"no loop is sure in the launches: {said}"))
    return Found(steps, replace(chosen, repeats=True), said)


def small(tables: Whole | Store) -> bool:
    """Whether repeats are looked for unasked."""
    host_rows = tables.calls.rows + tables.ranges.rows
    return tables.operations.rows <= MOST_OPERATIONS and host_rows <= MOST_HOST_ROWS


def not_looked_for(chosen: Chosen) -> Chosen:
    """Where no range is a step, and to look for repeats would take too long."""
    return replace(
        chosen,
        loop=f"repeats of the work are looked for unasked among {MOST_OPERATIONS:,} GPU operations "
        f"and {MOST_HOST_ROWS:,} calls and ranges at most: --infer-steps asks for them",
    )


def _inferred(trace: Trace, device: int | None) -> tuple[Steps, str, float]:
    """Steps by repetition, how sure they are in words, and their confidence."""
    from ..infer.infer import infer_steps

    found = infer_steps(trace, device)
    said = f"{found.explanation} Confidence {found.confidence:.0%}"
    said += f", of the boundaries {found.boundary_confidence:.0%}"
    return found.steps, said, found.confidence
