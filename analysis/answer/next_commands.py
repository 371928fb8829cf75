"""What to type next, with the arguments of this trace."""

from __future__ import annotations

import shlex

from ..report import TraceReport
from .choose import Chosen


def next_commands(
    report: TraceReport, chosen: Chosen | None, typed: tuple[str, ...]
) -> tuple[str, ...]:
    """Arguments of `harness`; `typed`: the options that say which part of the trace is meant. The
    steps that were chosen, where nobody named them, are named."""
    # A name that begins with a hyphen would be taken for an option.
    path = shlex.quote(f"./{report.path}" if report.path.startswith("-") else report.path)
    typed = (*(report.chosen.typed if report.chosen else ()), *typed)
    gaps = " ".join(("gaps", path, *typed))
    commands = [f"{gaps} --top 5"]
    if report.calls_believed:
        commands.insert(0, f"{gaps} --by cause")
    rung = chosen.rung if chosen is not None else None
    if rung is not None and rung.change == "host" and rung.where:
        where = shlex.quote(rung.where.replace("[", "[[]"))
        commands.insert(0, " ".join(("predict --from", path, *typed, "--overlap", where)))
    return (*commands, f"{gaps} --tables all")
