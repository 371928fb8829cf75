"""What stands below the main table: what its means count, and what was told apart by time."""

from __future__ import annotations

from collections.abc import Sequence

from ...idle.figures import Steady
from ...model.text import plain
from ...report import TraceReport
from ..base import Report
from .place import believed, file_name

SPOKEN_OF = 3
"""Traces, and threads of one trace, that a note names; the others are counted."""
HARDLY_NS = 50
"""Idle time per step below which the table shows none."""


def step_notes(report: Report) -> tuple[str, ...]:
    """Sentences for the reader of the main table; none where nothing is out of the ordinary."""
    return (
        *_own_edges(report), *outside_steps(report), *_turns(report), *_by_ends(report),
        *_other_threads(report),
    )  # fmt: skip


def outside_steps(report: Report) -> list[str]:
    """How much of the means lies around operations of no step, which no quantile counts."""
    found = [
        (_share(steady), _where(report, trace) + _outside(trace, steady))
        for trace in report.by_label
        if (steady := _unassigned(trace)) is not None
    ]
    return _worst(found, "idle µs holds idle time around operations of no step in {}.")


def _own_edges(report: Report) -> list[str]:
    """Whose figures are those of one or two steps."""
    text = "the figures of one or two steps run between their own edges: this is no steady state."
    found = [
        (1.0, _said(report, trace, text))
        for trace in report.by_label
        if believed(trace) and any(one.own_edges for one in trace.series)
    ]
    return _worst(found, "One or two steps, between their own edges, in {}.")


def _turns(report: Report) -> list[str]:
    """Which threads are one loop."""
    found = [
        (
            float(len(one.turns)),
            f"{_where(report, trace)}{len(one.turns)} threads take turns with the steps, as one "
            f"loop: {listed([plain(name, 60) for name in one.turns])}.",
        )
        for trace in report.by_label
        for one in {(s.pid, s.tid, s.pattern): s for s in trace.series}.values()
        if one.turns
    ]
    return _worst(found, "Threads take turns with the steps in {}.")


def _by_ends(report: Report) -> list[str]:
    """Whose steps are cut at their ends."""
    text = "streams run ahead of each other: a step runs from the end of the last operation of "
    text += "the step before to that of its own."
    found = [
        (1.0, _said(report, trace, text))
        for trace in report.by_label
        if believed(trace) and any(one.steady and one.steady.by_ends for one in trace.series)
    ]
    return _worst(found, "Steps run from end to end of their last operations in {}.")


def _other_threads(report: Report) -> list[str]:
    """Whose work went by time, because another thread than the step's launched it."""
    found = [
        (float(sum(launched.values())), _where(report, trace) + _by_time(launched))
        for trace in report.by_label
        if (launched := _launched(trace))
    ]
    return _worst(found, "Other threads launched operations of the steps in {}.")


def _said(report: Report, trace: TraceReport, sentence: str) -> str:
    """A sentence about one of the traces."""
    where = _where(report, trace)
    return where + sentence if where else sentence[0].upper() + sentence[1:]


def _where(report: Report, trace: TraceReport) -> str:
    return f"{file_name(trace)}: " if len(report.traces) > 1 else ""


def _unassigned(trace: TraceReport) -> Steady | None:
    """The steady state whose mean holds the largest share of idle time that is no step's."""
    if not believed(trace):
        return None
    found = [s.steady for s in trace.series if s.steady and s.steady.unassigned_ns >= HARDLY_NS]
    return max(found, key=_share, default=None)


def _share(steady: Steady) -> float:
    return steady.unassigned_ns / steady.idle_ns


def _outside(trace: TraceReport, steady: Steady) -> str:
    most = "up to " if sum(one.steady is not None for one in trace.series) > 1 else ""
    count = trace.steps.unassigned + trace.steps.ambiguous
    of_none = f"of no step ({count:,} in the trace)" if count else "of other threads' steps"
    return (
        f"idle µs holds {most}{steady.unassigned_ns / 1e3:,.1f} µs/step ({_share(steady):.0%}) "
        f"around operations {of_none}; the quantiles (p50 to max) leave that out."
    )


def _launched(trace: TraceReport) -> dict[str, int]:
    """Operations of the steps by the other thread that launched them; those of one series are
    the same on each of its GPUs."""
    launched: dict[str, int] = {}
    for one in {(s.pid, s.tid, s.pattern): s for s in trace.series}.values():
        for name, count in one.other_threads.items():
            launched[name] = launched.get(name, 0) + count
    return launched


def _by_time(launched: dict[str, int]) -> str:
    ranked = sorted(launched.items(), key=lambda item: -item[1])
    total = sum(launched.values())
    if len(ranked) == 1:
        name = plain(ranked[0][0], 60)
        who = name if name.startswith("thread ") else f"thread {name}"
    else:
        who = f"other threads ({listed([f'{plain(n, 60)}: {count:,}' for n, count in ranked])})"
    verb = "was" if total == 1 else "were"
    belong = "belongs" if total == 1 else "belong"
    return (
        f"{_operations(total)} of the steps {verb} launched by {who}, and {belong} to the step "
        "open at that time."
    )


def listed(names: Sequence[str]) -> str:
    """The first few names, and how many there are besides."""
    rest = len(names) - SPOKEN_OF
    return ", ".join(names[:SPOKEN_OF]) + (f" and {rest:,} more" if rest > 0 else "")


def _operations(count: int) -> str:
    return f"{count:,} operation{'' if count == 1 else 's'}"


def _worst(found: Sequence[tuple[float, str]], rest: str) -> list[str]:
    """The few that weigh most, in the order in which they came, and how many there are besides."""
    heaviest = sorted(range(len(found)), key=lambda k: -found[k][0])[:SPOKEN_OF]
    lines = [found[k][1] for k in sorted(heaviest)]
    more = len(found) - len(lines)
    return [*lines, rest.format(f"{more} more trace{'' if more == 1 else 's'}")] if more else lines
