"""`harness predict --from TRACE --without GLOB` and kin: changes by name, played by arrays."""

from __future__ import annotations

from pathlib import Path

from ..analysis.analyze import analyze
from ..analysis.gains.errors import TooFewSteps
from ..analysis.gains.of_series import SeriesGains
from ..analysis.predict.host_times import host_times
from ..analysis.question import Question
from ..analysis.report import TraceReport
from ..analysis.reports.base import Column, Table
from .show import Outcome

_COLUMNS = (
    Column("what", "what if"),
    Column("origin", "origin"),
    Column("step_ns", "step µs", "us"),
    Column("step_error_ns", "± µs", "us"),
    Column("gain_ns", "wins µs", "us"),
    Column("saved_share", "saved", "percent"),
)


def predict_changes(trace: str, question: Question) -> Outcome:
    """Play the changes that the question names. Raises TraceError where there is no loop."""
    report = analyze(trace, question)
    one = _main(report)
    ladder = one.ladder
    assert ladder is not None
    source = report.trace.source.origin
    rows = [
        ("–", source, ladder.recorded_ns, None, None, None),
        ("replay", "replayed", ladder.replayed_ns, ladder.error_ns, None, None),
        *(
            (
                rung.where, "predicted", rung.step_ns, ladder.error_ns, rung.gain_ns,
                rung.gain_ns / ladder.replayed_ns,
            )
            for rung in ladder.asked
        ),
    ]  # fmt: skip
    notes = (
        f"{ladder.steps} steps are replayed; ± is what the replay misses a step by, with twice the "
        "standard error of what it misses each step by. A gain below it is none.",
        host_times(report),
    )
    name = Path(report.path).name
    table = Table("changes", f"Predicted from {name} ({report.label}), per step", _COLUMNS,
                  tuple(rows), notes)  # fmt: skip
    facts = (("trace", report.path), ("replay_error_ns", round(ladder.error_ns, 1)))
    return Outcome("predict-changes", (table,), (), facts)


def _main(report: TraceReport) -> SeriesGains:
    """The series with most operations among those that were replayed."""
    found = [one for one in report.gains if one.ladder is not None]
    if not found:
        why = next((one.reason for one in report.gains if one.reason), "no steady steps")
        raise TooFewSteps(f"{report.path} cannot be replayed: {why}")
    return max(found, key=lambda one: int(report.series[one.series].table.operations.sum()))
