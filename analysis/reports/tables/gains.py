"""The ladder: what each change would win."""

from __future__ import annotations

from collections.abc import Sequence

from ...answer.choose import candidates, kind_of
from ...answer.of_gains import UNMARKED, change_text, missed, replayed_steps
from ...gains.changes import changes
from ...gains.ladder import Ladder, Rung
from ...gains.of_series import SeriesGains
from ...report import TraceReport
from ..base import Column, Report, Table, Value
from .place import WHERE, believed, place

SHOWN = 8
"""Rungs of one loop, where not all tables are asked for."""
_EQUAL = 0.05
"""Share by which the gains of two changes of one thing must differ for both to be shown."""


def gains(report: Report) -> Table:
    """One row a change, those of the host before those of the GPU, the largest gain first."""
    rows: list[tuple[Value, ...]] = []
    every = report.question.all_tables
    notes: list[str] = []
    for trace in report.by_label:
        for one in trace.gains:
            if one.ladder is None or not believed(trace, "causes"):
                continue
            chosen = shown(one.ladder, every=every)
            rows += [_row(trace, one, one.ladder, rung, chosen) for rung in chosen]
            notes += [note for note in _notes(one.ladder, chosen) if note not in notes]
            if rows and _lengthened(trace) and _LENGTHENED not in notes:
                notes.append(_LENGTHENED)
    return Table(
        "gains",
        f"What each change alone would win, of a step {_timeline(report)}",
        (
            *WHERE,
            Column("change", "change"),
            Column("gain_ns", "wins µs", "us"),
            Column("share", "of step", "percent"),
            Column("step_ns", "new step µs", "us"),
            Column("spent_ns", "takes now µs", "us"),
            Column("gain_kind", "kind"),
        ),
        tuple(rows),
        tuple(notes),
        subject=("change", "gain_ns"),
        gives_way=(
            "gain_kind",
            "spent_ns",
            "step_ns",
            "pid",
            "tid",
            "pattern",
            "device",
            "share",
            "strategy",
        ),
    )


def _timeline(report: Report) -> str:
    """Which steps they are, of all traces of the report."""
    bare = {trace.bare is not None for trace in report.traces}
    return "without its recorder" if bare == {True} else "as recorded"


_LENGTHENED = "Gains are by this trace's own host times, which the profiler lengthens."


def _lengthened(trace: TraceReport) -> bool:
    """Whether a trace was measured under a profiler whose cost nobody measured, or took out."""
    source = trace.trace.source
    if trace.bare is not None:
        return False
    return source.origin == "measured" and not source.manifest.get("calibration")


def shown(ladder: Ladder, *, every: bool) -> list[Rung]:
    """The rungs to show; without those that another one says as well, unless all are wanted."""
    hosts = [rung for rung in (ladder.rungs if every else candidates(ladder)) if rung.of_host]
    others = [rung for rung in ladder.rungs if not rung.of_host]
    if every:
        return hosts + others
    kept: list[Rung] = []
    for rung in sorted(hosts, key=_order):
        if not any(_same(rung, other) for other in kept):
            kept.append(rung)
    kept.sort(key=lambda rung: -rung.gain_ns)
    # Gaps inside graphs before kernels: they are idle time.
    others.sort(key=lambda rung: rung.change == "kernel")
    return [*kept[: SHOWN - min(3, len(others))], *others[:3]]


def _order(rung: Rung) -> int:
    names = [change.name for change in changes()]
    return names.index(rung.change) if rung.change in names else len(names)


_WAYS = (
    {"wait", "hidden-wait", "place"}, {"host", "place", "module-loading"},
    {"pageable-copies", "copies-aside"},
)  # fmt: skip
"""Changes that may be of one thing."""


def _same(rung: Rung, other: Rung) -> bool:
    """Whether a change that is listed first tells enough: as much to win, of the same place."""
    if rung.gain_ns > (1 + _EQUAL) * other.gain_ns:
        return False
    if "long-pauses" in (rung.change, other.change):
        return rung.gain_ns >= (1 - _EQUAL) * other.gain_ns
    alike = any({rung.change, other.change} <= ways for ways in _WAYS)
    return alike and rung.where == other.where


def _row(
    trace: TraceReport, one: SeriesGains, ladder: Ladder, rung: Rung, chosen: Sequence[Rung]
) -> tuple[Value, ...]:
    return (
        *place(trace, trace.series[one.series]),
        change_text(rung, chosen),
        rung.gain_ns,
        rung.gain_ns / ladder.replayed_ns,
        rung.step_ns,
        rung.spent_ns or None,
        kind_of(rung, ladder.rungs).name,
    )


def _notes(ladder: Ladder, chosen: Sequence[Rung]) -> list[str]:
    """What to know of these gains."""
    if not chosen:
        return []
    chosen_evenly = ladder.stretches > 1 and ladder.steps < ladder.of_steps
    where = f", chosen evenly in {ladder.stretches} stretches" if chosen_evenly else ""
    steps = f"{replayed_steps(ladder)}{where}"
    notes = [f"By a replay of {steps}, off by {missed(ladder)} a step."]
    if len(chosen) > 1:
        notes[0] += " Gains do not add up."
    if ladder.clocks > 1:
        notes.append(f"{ladder.clocks} threads that launch are replayed each for itself.")
    told = {rung.change for rung in chosen}
    for change in changes():
        if change.assumes and change.name in told:
            lent = f" (costs of {ladder.lent}.toml)" if change.name == "graph" else ""
            notes.append(f"{change.assumes[0].upper()}{change.assumes[1:]}{lent}.")
    if any(not rung.where for rung in chosen if rung.change in ("host", "wait", "place")):
        notes.append(f"{UNMARKED}: code of the step that no inner range marks.")
    return notes
