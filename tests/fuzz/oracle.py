"""What must hold of everything that a reader makes of a mutant.

A reader may refuse, in one line. Whatever it does not refuse has to be finite, to add up, to be
what another way of reading gives, and to be drawn by every reporter. `Broken` says what is not so.
"""

from __future__ import annotations

import json
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from harness.analysis.analyze import analyze
from harness.analysis.exports.base import ROWS, exporters
from harness.analysis.figures.standalone import figure
from harness.analysis.model.errors import TraceError
from harness.analysis.question import Question, StepPattern
from harness.analysis.report import TraceReport
from harness.analysis.reports.base import Report, Terminal, reporters
from harness.analysis.scenes.entries import entries_of
from harness.analysis.scenes.states import gap_states
from harness.show import heading, plot
from tests.analysis.test_metamorphic import figures

from .brute import Expected

Figures = dict[str, object]

SLOW_S = 10.0
"""CPU time that no small file may cost."""

ANY_RANGE = (StepPattern.glob("*"),)


class Broken(AssertionError):
    """A promise that a mutant broke."""


@dataclass(frozen=True)
class Outcome:
    """How one mutant ended: `refused`, `same` (figures as before), `verdict` (others, and a verdict
    that the base does not have) or `changed` (others, as an independent reading confirms)."""

    kind: str
    said: str = ""


@contextmanager
def in_time() -> Iterator[None]:
    """Fail what takes too long: by its own CPU time, so that a busy machine proves nothing."""

    def stop(signum: int, frame: object) -> None:
        raise Broken(f"still at work after {SLOW_S:.0f} s")

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SLOW_S)
    start = time.process_time()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
    spent = time.process_time() - start
    if spent > SLOW_S:
        raise Broken(f"took {spent:.1f} s")


def one_line(error: TraceError, path: Path) -> str:
    """The text of a refusal, which has to be fit for a terminal and to name the file."""
    text = str(error)
    if not text or not all(c.isprintable() for c in text):
        raise Broken(f"no line for a terminal: {text!r}")
    if path.name not in text:
        raise Broken(f"does not name the file: {text}")
    if error.exit_code not in (1, 2):
        raise Broken(f"exit code {error.exit_code}")
    return text


class Depth(IntEnum):
    """How much is asked of a mutant, since drawing costs more than reading."""

    FIGURES = 0
    TEXT = 1
    """Also drawn by the reporters of text."""
    ALL = 2
    """By all reporters and exporters, and searched for steps by other rules."""


def judged(
    path: Path, expected: Expected | None, base: Callable[[Figures], Figures],
    *, unseen: bool, depth: Depth,
) -> Outcome:  # fmt: skip
    """Analyse a mutant and hold the report to every law. Raises TraceError where it is refused.

    `base` gives the figures of the sound file that the mutant came from.
    """
    report = analyze(path)
    adds_up(report)
    if expected is not None:
        agrees(report, expected)
    made = figures(report)
    found = outcome(report, made, base(made), unseen=unseen)
    if depth >= Depth.TEXT or found.kind != "same":
        drawn(report, deep=depth is Depth.ALL)
    if depth is Depth.ALL:
        anything = analyze(report.trace, Question(patterns=ANY_RANGE))
        adds_up(anything)
        drawn(anything, deep=False)
        _inferred(report)
    return found


def _inferred(report: TraceReport) -> None:
    try:
        found = analyze(report.trace, Question(infer=True))
    except TraceError:
        return
    adds_up(found)


def outcome(report: TraceReport, found: Figures, base: Figures, *, unseen: bool) -> Outcome:
    """Compare with the figures of the trace that the mutant was made from."""
    if found == base:
        return Outcome("same")
    if unseen:
        changed = [key for key in found if found[key] != base[key]]
        raise Broken(f"what must not matter changed {', '.join(changed)}")
    codes = {v.code for v in report.verdicts}
    known = {code for code, *_ in base["verdicts"]}  # type: ignore[attr-defined]
    if codes - known:
        return Outcome("verdict", ", ".join(sorted(codes - known)))
    return Outcome("changed")


def agrees(report: TraceReport, expected: Expected) -> None:
    """The totals of all devices, against another way of reading the same file."""
    found = Expected(
        len(report.trace.operations),
        report.trace.dropped.total,
        report.all_window_ns,
        report.all_idle_ns,
    )
    if found != expected:
        raise Broken(f"read as {found}, by another way {expected}")
    told = "rows-dropped" if expected.operations else "gpu-rows-unusable"
    if expected.dropped and not any(v.code == told for v in report.verdicts):
        raise Broken(f"{expected.dropped} rows dropped without a verdict")


def adds_up(report: TraceReport) -> None:
    """The sums that `docs/definitions.md` promises."""
    for device, gaps, split in zip(report.devices, report.gaps, report.attributions, strict=True):
        _same("busy + idle", device.busy_ns + device.idle_ns, device.window_ns)
        _same("causes", sum(device.causes.values()), device.idle_ns)
        _same("host ranges", sum(device.host_ranges.values()), device.causes["host"])
        _same("handoffs", sum(device.handoffs.values()), device.causes["handoff"])
        if min(device.busy_ns, device.idle_ns, *device.causes.values()) < 0:
            raise Broken("a negative time")
        if not (split.time >= 0).all() or not (gaps.end > gaps.start).all():
            raise Broken("a negative gap or cause")
        if not 0 <= device.communication_ns <= device.busy_ns:
            raise Broken(f"communication {device.communication_ns} of busy {device.busy_ns}")
        if not 0 <= device.graph_level_ns <= device.busy_ns:
            raise Broken(f"graph level {device.graph_level_ns} of busy {device.busy_ns}")
        gap_states(report.trace, gaps, split)  # asserts that its stretches tile each gap
    idle = {g.device.index: d.idle_ns for g, d in zip(report.gaps, report.devices, strict=True)}
    for one in report.series:
        kinds = one.inter_ns + one.intra_ns + one.unassigned_ns + one.boundary_ns
        _same("kinds of gaps", kinds, idle[one.device])
        _same("idle of steps", int(one.table.idle.sum()), one.inter_ns + one.intra_ns)
        steady = one.steady
        if steady is not None:
            _near("steady", steady.busy_ns + steady.idle_ns, steady.period_ns)
            parts = steady.inter_ns + steady.intra_ns + steady.unassigned_ns
            _near("steady kinds", parts, steady.idle_ns)
            _near("steady causes", sum(steady.causes.values()), steady.idle_ns)
            if not 0 <= steady.recoverable_ns <= steady.period_ns * (1 + 1e-9):
                raise Broken(f"recoverable {steady.recoverable_ns} of {steady.period_ns}")


def _same(what: str, found: int, wanted: int) -> None:
    if found != wanted:
        raise Broken(f"{what}: {found}, not {wanted}")


def _near(what: str, found: float, wanted: float) -> None:
    if not math.isclose(found, wanted, rel_tol=1e-9, abs_tol=1e-3):
        raise Broken(f"{what}: {found}, not {wanted}")


def drawn(report: TraceReport, *, deep: bool) -> None:
    """Every reporter gives text that is safe to print and figures that are finite."""
    for name, reporter in reporters().items():
        if name == "html" and not deep:
            continue
        text = reporter.render(Report((report,)), Terminal())
        text.encode("utf-8")
        if name == "json":
            finite(json.loads(text, parse_constant=_no_number))
        elif name != "html":
            odd = {c for c in text if not c.isprintable() and c not in "\n\r\t"}
            if odd:
                raise Broken(f"{name} prints {odd!r}")
    if deep:
        for exporter in exporters().values():
            for rows in ROWS if exporter.tabular and report.series else ("gaps",):
                try:
                    sum(map(len, exporter.chunks((report,), rows)))
                except TraceError as error:
                    if "there are no" not in str(error):
                        raise
        plot(Report((report,)), Terminal())
        for entry in entries_of((report,)):
            for moment in entry.moments():
                figure(moment.scene, heading(entry, moment), "")


def _no_number(text: str) -> None:
    raise Broken(f"JSON holds {text}")


def finite(value: object) -> None:
    """No infinity and no NaN anywhere in parsed JSON."""
    if isinstance(value, float) and not math.isfinite(value):
        raise Broken(f"not finite: {value}")
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            finite(item)
