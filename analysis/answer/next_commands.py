"""What to type next, with the arguments of this trace."""

from __future__ import annotations

import shlex

from ..report import TraceReport
from .choose import Chosen


def next_commands(
    report: TraceReport, chosen: Chosen | None, typed: tuple[str, ...]
) -> tuple[str, ...]:
    """Arguments of `harness`; `typed`: the options that say which part of the trace is meant."""
    # A name that begins with a hyphen would be taken for an option.
    path = shlex.quote(f"./{report.path}" if report.path.startswith("-") else report.path)
    gaps = " ".join(("gaps", path, *typed))
    commands = [f"{gaps} --top 5"]
    if report.calls_believed:
        commands.insert(0, f"{gaps} --by cause")
    if chosen is not None and chosen.rung is not None and chosen.rung.change == "host":
        where = shlex.quote(chosen.rung.where)
        predict = " ".join(("predict --from", path, *typed))
        commands.insert(0, f"{predict} --scale-host 0.5 --in {where}")
    return tuple(commands)
