"""What to type next, with the arguments of this trace."""

from __future__ import annotations

import shlex

from ..report import TraceReport
from .choose import Chosen


def next_commands(
    report: TraceReport, chosen: Chosen | None, typed: tuple[str, ...]
) -> tuple[str, ...]:
    """Arguments of `harness`, the most telling first; `typed` as for `gaps_command`."""
    gaps = gaps_command(report, typed)
    commands = [f"{gaps} --top 5", f"{gaps} --tables all"]
    if report.calls_believed:
        commands.insert(0, f"{gaps} --by cause")
    rung = chosen.rung if chosen is not None else None
    if rung is not None and rung.change == "stalled":
        commands.insert(0, f"{gaps} --by step --top 5")
    # A step without anything in it tells nobody what to change.
    steps = {one.pattern for one in report.series}
    if rung is not None and rung.change == "host" and rung.where and rung.where not in steps:
        where = shlex.quote(rung.where.replace("[", "[[]"))
        # Beside a step that is shorter, it would set the pace and win little.
        change = "--overlap" if rung.spent_ns <= rung.step_ns else "--without"
        words = ("predict --from", _path(report), *_options(report, typed), change, where)
        commands.insert(0, " ".join(words))
    return tuple(commands)


def gaps_command(report: TraceReport, typed: tuple[str, ...]) -> str:
    """`gaps` of this trace; `typed`: the options that say which part of it is meant. The steps that
    were chosen, where nobody named them, are named."""
    return " ".join(("gaps", _path(report), *_options(report, typed)))


def _path(report: TraceReport) -> str:
    # A name that begins with a hyphen would be taken for an option.
    return shlex.quote(f"./{report.path}" if report.path.startswith("-") else report.path)


def _options(report: TraceReport, typed: tuple[str, ...]) -> tuple[str, ...]:
    return (*(report.chosen.typed if report.chosen else ()), *typed)
